import { describe, expect, test } from 'vitest'

import { parse } from './draft'
import { LAST_APPLIED } from './lastApplied'
import { secrets } from './secrets'

function hidden(text: string): string[] {
  return secrets(parse(text)).map(({ from, to }) => text.slice(from, to))
}

test('passwords are found however they are written, and where kubectl repeats them', () => {
  const text = `metadata:\n  annotations:\n    ${LAST_APPLIED}: '{"spec": "p"}'\nspec:\n  users:\n    - username: a\n      password: "one"\n    - {username: b, password: two}\n    - username: c\n    - password: |\n        three\n\n    - password:\n        four\n    - password: 5\n    - password:\n`
  expect(hidden(text)).toEqual(['\'{"spec": "p"}\'', '"one"', 'two', '|\n        three', 'four', '5'])
})

test('in any document, and in what Secrets have', () => {
  const text = 'kind: VirtualServer\nspec: {users: [{password: one}]}\n---\nkind: VirtualServer\nspec: {users: [{password: two}]}\n---\nstringData: {key: three, password: four}\nkind: Secret\ndata:\n  a: Zml2ZQ==\n---\nkind: ConfigMap\ndata: {a: b}\n---\nkind: List\nitems: [{kind: Secret, data: {a: six}}]\n'
  expect(hidden(text)).toEqual(['one', 'two', 'three', 'four', 'Zml2ZQ==', 'six'])
})

test.each([
  ['a list', 'x: &u [{username: a, password: one}]\nspec: {users: *u}\n'],
  ['a merge key', 'x: &d {users: [{username: a, password: one}]}\nspec:\n  <<: *d\n'],
  ['a password', 'x: &p one\nspec: {users: [{username: a, password: *p}, {password: *p}]}\n'],
  ['contents', 'x: &s {key: one}\nkind: Secret\nstringData: *s\n'],
  ['merged contents', 'x: &s {stringData: {key: one}}\nkind: Secret\n<<: [*s]\n'],
  ['contents in contents', 'x: &s {key: one}\nkind: Secret\nstringData: {<<: *s}\n'],
])('where %s stands that a name is for', (_, text) => expect(hidden(text)).toEqual(['one']))

test('they come in the order of the text, as the editor wants them', () => {
  const text = `spec: {users: [{password: one}]}\nmetadata: {annotations: {${LAST_APPLIED}: "{}"}}\n`
  expect(hidden(text)).toEqual(['one', '"{}"'])
})

describe('in a text that cannot be read, what looks like one is one', () => {
  const FAULT = '\nz: ['
  test.each([
    ['- password: "one two"', '"one two"'],
    ['- password: "hun,ter2" # x', '"hun,ter2"'],
    ["password: 'it''s' ", "'it''s'"],
    ['password: "hun\\"ter2"', '"hun\\"ter2"'],
    ['password: "hun"ter2"', '"hun"ter2"'],
    ['password: "hunter2', '"hunter2'],
    ['  password: "hun\n    ter2"\n  a: b', '"hun\n    ter2"'],
    ['password: hun}ter, 2', 'hun}ter, 2'],
    ['oh: [{password: three, a: b}', 'three, a: b}'],
    ['{"password": "x", "username": "y"}', '"x", "username": "y"}'],
    ['- password: |\n    hunter2\n\n    more\n  username: a', '|\n    hunter2\n\n    more'],
    ['"password": |\n hunter2\na: b', '|\n hunter2'],
    ['  password:\n    hunter2\n  username: a', '\n    hunter2'],
    ['  password:\n\thunter2\n  username: a', '\n\thunter2'],
    ['  - {username: a, password:\n    hunter2}', '\n    hunter2}'],
    ['? password\n: hunter2', 'hunter2'],
    ['? password\n: |\n  hunter2\na: b', '|\n  hunter2'],
    ['password: hunter2\r\na: b\r', 'hunter2'],
    [`a:\n  ${LAST_APPLIED}: |\n    {"password": "x"}\n  b: c`, '|\n    {"password": "x"}'],
    ['kind: Secret\nstringData:\n  a: one\n  b: two\nmetadata: {}', '\n  a: one\n  b: two'],
  ])('%j', (text, wanted) => expect(hidden(text + FAULT)).toEqual([wanted]))

  test('and nothing where nothing stands', () => {
    expect(hidden(`- password:\n  username: a\n  metadata: b${FAULT}`)).toEqual([])
  })
})
