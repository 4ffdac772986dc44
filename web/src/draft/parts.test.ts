import { expect, test } from 'vitest'

import { parse } from './draft'
import { partsOf } from './parts'

test('each document is what is between its marks, and one is meant', () => {
  const text = '# first\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n--- # second\nkind: VirtualServer\nmetadata:\n  name: web\n---\n---\nkind: Service\n'
  const parts = partsOf(parse(text))
  expect(parts.map(({ kind, name, namespace, isMeant }) => [kind, name, namespace, isMeant])).toEqual([
    ['Secret', 'a', 'b', false],
    ['VirtualServer', 'web', '', true],
    ['Service', '', '', false],
  ])
  expect(parts.map((one) => one.text).join('')).toBe(text.replace('# first\n', '').replace('---\n---\n', '---\n'))
})
