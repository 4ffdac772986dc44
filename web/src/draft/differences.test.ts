import { expect, test } from 'vitest'

import { differences, take, theirs } from './differences'
import { parse } from './draft'

test('the order of keys is no difference, that of a list is one', () => {
  expect(differences({ a: { x: 1, y: [1, 2] } }, { a: { y: [2, 1], x: 1 } })).toEqual([{ path: ['a', 'y'], before: [1, 2], after: [2, 1] }])
})

test('what somebody else changed is contested where the draft changed it too', () => {
  const base = { a: 1, b: 1, c: 1, d: 1 }
  const found = theirs(base, { a: 2, b: 2, c: 2 }, { a: 1, b: 3, c: 2, d: 1 })
  expect(found.map(({ path, mine, isContested }) => [path[0], mine, isContested])).toEqual([
    ['a', 1, false],
    ['b', 3, true],
    ['d', 1, false],
  ])
})

test('what is taken of somebody else leaves the rest of the text as it is', () => {
  const text = '# mine\nspec:\n  a: 1 # one\n  b: 2 # two\n'
  const [a, b, c] = theirs({ spec: { a: 1, b: 2 } }, { spec: { a: 5, c: [1] } }, parse(text).value)
  expect([a, b, c].reduce((now, one) => (one ? take(now, one) : now), text)).toBe('# mine\nspec:\n  a: 5 # one\n  c: [1]\n  # two\n')
})
