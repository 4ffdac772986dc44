import { expect, test } from 'vitest'

import { parse } from './draft'
import { pathAt, pathOf, spanOf } from './fields'

test('a field as the API names it is a path', () => {
  expect(pathOf('spec.network.tcp.ports[0]')).toEqual(['spec', 'network', 'tcp', 'ports', 0])
  expect(pathOf('metadata.labels[a.b/c]')).toEqual(['metadata', 'labels', 'a.b/c'])
})

test('a fault is marked at its field, or at the nearest thing around it', () => {
  const text = 'spec:\n  network:\n    tcp: {ports: [22]}\n'
  const marked = (field: string) => {
    const { from, to } = spanOf(parse(text), pathOf(field))
    return text.slice(from, to)
  }
  expect(marked('spec.network.tcp.ports[0]')).toBe('22')
  expect(marked('spec.network.tcp')).toBe('tcp: {ports: [22]}')
  expect(marked('spec.os')).toBe('spec:')
})

test('the field that is pointed at is found, in lists too', () => {
  const text = 'spec:\n  users:\n    - username: a\n    - username: b\n      password: c\n'
  expect(pathAt(parse(text), text.indexOf('password') + 2)?.path).toEqual(['spec', 'users', 1, 'password'])
  expect(pathAt(parse(text), text.indexOf('c\n'))).toBeNull()
})
