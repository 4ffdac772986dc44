/** What tests do to a page that is mounted. */

import { vi } from 'vitest'

export function button(words: string, within: ParentNode = document): HTMLButtonElement {
  const found = [...within.querySelectorAll('button')].find((one) => one.textContent.trim() === words)
  if (!found) throw new Error(`no button says ${words}: ${document.body.textContent}`)
  return found
}

/** Answer the dialog that is open with yes, and return what it says. */
export function agree(): string {
  const dialog = document.querySelector('dialog')
  if (!dialog) throw new Error(`no dialog is open: ${document.body.textContent}`)
  const said = dialog.textContent
  dialog.returnValue = 'yes'
  dialog.dispatchEvent(new Event('close'))
  return said
}

/** Wait until a look throws no more. The limit is for what never comes, not for a machine that has more to do. */
export function eventually(look: () => void): Promise<void> {
  return vi.waitFor(look, { timeout: 60_000 })
}
