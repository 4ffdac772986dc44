// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import type { Api } from '../../api/client'
import { apply } from '../../draft'
import type { Change } from '../../draft'
import { eventually } from '../../mounted'
import Edit from './Edit.svelte'

// A text field without a view: what a form does to it is what the real one does.
vi.mock('./editor', () => ({
  openEditor: (_root: ShadowRoot, options: { text: string; become: (text: string) => void }) => {
    let { text } = options
    const change = (changes: readonly Change[]) => options.become((text = apply(text, changes)))
    return { change, mark: () => undefined, destroy: () => undefined }
  },
}))

const api = {
  session: { base: '/x', token: 't', server: '', namespace: 'shop', user: 'ada' },
  get: () => Promise.resolve({ components: { schemas: {} } }),
  draft: () => Promise.resolve(null),
  keep: () => Promise.resolve(),
  planned: () => Promise.resolve([]),
  send: () => Promise.resolve(new Response(JSON.stringify({ kind: 'VirtualServer', metadata: { name: 'a' } }))),
} as unknown as Api

let page: object
beforeEach(async () => {
  page = mount(Edit, { target: document.body, props: { api, route: { page: 'new' } } })
  await eventually(() => expect(document.querySelector('details')).not.toBeNull())
})
afterEach(() => unmount(page))

function named<T extends HTMLElement>(selector: string, words: string): T {
  const found = [...document.querySelectorAll<T>(selector)].find((one) => (one.getAttribute('aria-label') ?? one.closest('label, .field')?.textContent ?? one.textContent).includes(words))
  if (!found) throw new Error(`no ${selector} says ${words}`)
  return found
}

test('switches and ports change the summary of their section', () => {
  expect(document.body.textContent).toContain('Public. 22/TCP.')
  const direct = named<HTMLInputElement>('input[role=switch]', 'direct attach')
  direct.click()
  flushSync()
  expect(document.body.textContent).toContain('Public. Direct attach.')
  expect(named<HTMLInputElement>('input', 'Add a TCP port').disabled).toBe(true)
  direct.click()
  flushSync()
  expect(document.body.textContent).toContain('Public. 22/TCP.')
})

test('what stands in the text is not overwritten by what was typed and taken back', () => {
  const name = named<HTMLInputElement>('input', 'Name')
  name.value = 'shop'
  name.dispatchEvent(new Event('input', { bubbles: true }))
  flushSync()
  expect(document.body.textContent).toContain('shop / shop')
  named<HTMLButtonElement>('button', 'Reset').click()
  flushSync()
  expect(name.value).toBe('my-server')
})

test('a user whose name is taken away stays, for another', () => {
  named<HTMLButtonElement>('button', 'Add a user').click()
  flushSync()
  const user = named<HTMLInputElement>('input', 'User')
  expect(user.value).toBe('user')
  user.value = ''
  user.dispatchEvent(new Event('input', { bubbles: true }))
  flushSync()
  user.value = 'ada'
  user.dispatchEvent(new Event('input', { bubbles: true }))
  flushSync()
  expect(document.querySelector('fieldset legend')?.textContent).toBe('ada')
})

test('a section that somebody has opened stays open while they type in it', () => {
  const memory = named<HTMLInputElement>('input', 'Memory')
  const section = memory.closest('details')
  if (!section) throw new Error('memory is in no section')
  section.open = true
  section.dispatchEvent(new Event('toggle'))
  memory.value = '2Gi'
  memory.dispatchEvent(new Event('input', { bubbles: true }))
  flushSync()
  expect(document.body.textContent).toContain('1 CPU · 2Gi')
  expect(section.open).toBe(true)
})
