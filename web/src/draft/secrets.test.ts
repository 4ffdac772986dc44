import { expect, test } from 'vitest'

import { parse } from './draft'
import { LAST_APPLIED } from './lastApplied'
import { secrets } from './secrets'

test('passwords are found however they are written, and where kubectl repeats them', () => {
  const text = `metadata:\n  annotations:\n    ${LAST_APPLIED}: '{"spec": "p"}'\nspec:\n  users:\n    - username: a\n      password: "one"\n    - {username: b, password: two}\n    - username: c\n`
  expect(secrets(parse(text)).map(({ from, to }) => text.slice(from, to))).toEqual(['\'{"spec": "p"}\'', '"one"', 'two'])
})

test('in a text that cannot be read, what looks like one is one', () => {
  const text = 'spec:\n  users:\n    - password: "one two"\n  oh: [{password: three, a: b}\n'
  expect(secrets(parse(text)).map(({ from, to }) => text.slice(from, to))).toEqual(['"one two"', 'three'])
})
