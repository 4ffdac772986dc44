import { expect, test } from 'vitest'

import { cursorAt } from './cursor'
import { choices, kindOf, ofManifest, schemaAt } from './schema'
import type { Schema } from './schema'

const SCHEMA: Schema = {
  properties: {
    metadata: {},
    status: {},
    spec: {
      properties: {
        on: { type: 'boolean' },
        policy: { type: 'string', 'x-kubernetes-validations': [{ rule: "self in ['None', 'Default']" }] },
        kind: { enum: ['', 'a'] },
        size: { 'x-kubernetes-int-or-string': true },
        vpcs: { type: 'array', items: { type: 'object', properties: { name: { type: 'string' } } } },
        map: { additionalProperties: { type: 'string' } },
      },
    },
  },
}

test('a path is followed through mappings, lists and maps of anything', () => {
  expect(schemaAt(SCHEMA, ['spec', 'vpcs', 3, 'name'])).toEqual({ type: 'string' })
  expect(schemaAt(SCHEMA, ['spec', 'map', 'whatever'])).toEqual({ type: 'string' })
  expect([schemaAt(SCHEMA, ['spec', 'oh']), schemaAt(SCHEMA, ['spec', 'constructor'])]).toEqual([null, null])
})

test('the values of a field are those of its rule', () => {
  const at = (name: string) => choices(schemaAt(SCHEMA, ['spec', name]) ?? {})
  expect([at('on'), at('policy'), at('kind'), at('size')]).toEqual([['true', 'false'], ['None', 'Default'], ['', 'a'], []])
})

test('a field says in a word what it has', () => {
  expect(kindOf(schemaAt(SCHEMA, ['spec', 'vpcs']) ?? {})).toBe('list of object')
  expect(kindOf(schemaAt(SCHEMA, ['spec', 'size']) ?? {})).toBe('quantity')
})

test('a manifest has metadata, and no status that anybody writes', () => {
  const schema = ofManifest(SCHEMA)
  expect(schemaAt(schema, ['metadata', 'labels', 'tier'])).toEqual({ type: 'string' })
  expect(schemaAt(schema, ['status'])).toBeNull()
})

test.each([
  ['spe|', { path: [], key: null }],
  ['spec:\n  |', { path: ['spec'], key: null }],
  ['spec:\n  network:\n    dns|', { path: ['spec', 'network'], key: null }],
  ['spec:\n  network:\n    public: t|', { path: ['spec', 'network'], key: 'public' }],
  ['spec:\n  network: |', { path: ['spec'], key: 'network' }],
  ['spec:\n  network:\n    # why\n\n    tcp:\n      ports: [22]\n    |', { path: ['spec', 'network'], key: null }],
  ['spec:\n  users:\n    - us|', { path: ['spec', 'users', 0], key: null }],
  ['spec:\n  users:\n    - username: a\n      pass|', { path: ['spec', 'users', 0], key: null }],
  ['spec:\n  users:\n  - username: a\n    pass|', { path: ['spec', 'users', 0], key: null }],
  ['spec:\n  users:\n  - username: a\n  - |', { path: ['spec', 'users', 0], key: null }],
  ['spec:\n  users:\n  - username: a\n    ref:\n      na|', { path: ['spec', 'users', 0, 'ref'], key: null }],
  ['spec:\r\n  network:\r\n    |', { path: ['spec', 'network'], key: null }],
])('in %j the cursor is where it is', (text, wanted) => {
  const at = text.indexOf('|')
  expect(cursorAt(text.replace('|', ''), at)).toMatchObject(wanted)
})

test.each(['# spe|', 'a: "x|', 'a: [1|', 'a: {b|'])('in %j nothing is said', (text) => {
  const at = text.indexOf('|')
  expect(cursorAt(text.replace('|', ''), at)).toBeNull()
})
