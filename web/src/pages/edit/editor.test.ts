// @vitest-environment happy-dom
import { expect, test } from 'vitest'

import { LAST_APPLIED } from '../../draft/lastApplied'
import { openEditor } from './editor'

test.each([
  ['that can be read', ''],
  ['that cannot', 'z: [\n'],
])('a text %s is shown without its passwords, wherever they stand', (_, end) => {
  const text = `spec:\n  users:\n    - password: |\n        one\n    - password: "two"\nmetadata:\n  annotations:\n    ${LAST_APPLIED}: '{"password":"three"}'\n---\nkind: Secret\nstringData:\n  key: four\n${end}`
  const root = document.body.appendChild(document.createElement('div')).attachShadow({ mode: 'open' })
  const editor = openEditor(root, { text, label: 'x', become: () => undefined, schema: () => null })
  const shown = root.querySelector('.cm-content')?.textContent ?? ''
  expect(shown).toContain('password: ••••••••')
  expect(shown).toContain(LAST_APPLIED)
  expect(shown).not.toMatch(/one|two|three|four/)
  editor.destroy()
})
