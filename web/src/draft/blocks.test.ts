import { describe, expect, test } from 'vitest'

import { apply, parse, read, remove } from './index'
import type { Path } from './index'

const NETWORK = ['spec', 'network']
const TEXT = ['spec', 'cloudInit']

/** What stands below a block of text, and what is taken out of it. */
const BELOW: readonly (readonly [string, Path])[] = [
  ['  region: north\n', ['spec', 'region']],
  ['  region: "north" # r\n', ['spec', 'region']],
  ['  network: {macAddress: aa}\n', [...NETWORK, 'macAddress']],
  ['  network:\n    tcp:\n      ports: [22]\n', [...NETWORK, 'tcp', 'ports', 0]],
  ['  users:\n  - username: a\n', ['spec', 'users', 0]],
  ['  users:\n    - username: a\n', ['spec', 'users']],
]
const TAILS = ['', '\n', '    # c4\n', '  # c2\n', '\n    # c4\n', '      # c6\n\n    # c4\n', '      \n', '\n   # c3\n']

function removed(text: string, path: Path): string {
  return apply(text, remove(parse(text), path))
}

describe.each(['|', '|-', '|+', '>', '>+', '|2'])('a text after %s stays what it is', (mark) => {
  test.each(BELOW)('when something of %j is taken out', (below, path) => {
    for (const tail of TAILS) {
      for (const end of ['  os: {type: linux}\n', '']) {
        const text = `spec:\n  cloudInit: ${mark}\n    a: 1\n${below}${tail}${end}`
        for (const one of [text, text.replaceAll('\n', '\r\n')]) {
          const before = parse(one)
          const after = parse(removed(one, path))
          expect(after.faults, after.text).toEqual([])
          expect(read(after, TEXT), after.text).toBe(read(before, TEXT))
          expect(read(after, path), after.text).toBeUndefined()
          expect(after.text.match(/#.*/g)).toEqual(one.match(/#.*/g))
        }
      }
    }
  })
})

test('a key stays between a text and the comment below it', () => {
  const text = 'spec:\n  cloudInit: |\n    a: 1\n  network:\n    tcp:\n      ports: [22]\n    # nothing for udp\n  os: {}\n'
  expect(removed(text, [...NETWORK, 'tcp', 'ports', 0])).toBe('spec:\n  cloudInit: |\n    a: 1\n  network: {}\n    # nothing for udp\n  os: {}\n')
})

test('comments below what goes come to its column, if the text above would have them', () => {
  const text = 'spec:\n  cloudInit: |\n    a: 1\n  region: x\n    # one\n    #   two\n\n    # three\n  os: {}\n'
  expect(removed(text, ['spec', 'region'])).toBe('spec:\n  cloudInit: |\n    a: 1\n  # one\n  #   two\n\n  # three\n  os: {}\n')
  const apart = 'spec:\n  cloudInit: |\n    a: 1\n  # between\n  region: x\n    # one\n  os: {}\n'
  expect(removed(apart, ['spec', 'region'])).toBe(apart.replace('  region: x\n', ''))
  const deep = 'spec:\n  cloudInit: |\n        a: 1\n  region: x\n    # one\n  os: {}\n'
  expect(removed(deep, ['spec', 'region'])).toBe(deep.replace('  region: x\n', ''))
})

test('a text with an indent of its own, and one with nothing in it', () => {
  const own = 'spec:\n  cloudInit: |2\n      a\n  region: x\n    # one\n'
  expect(read(parse(removed(own, ['spec', 'region'])), TEXT)).toBe('  a\n')
  const none = 'spec:\n  cloudInit: |\n  region: x\n    # one\n'
  expect(removed(none, ['spec', 'region'])).toBe('spec:\n  cloudInit: |\n  # one\n')
})

test('blank lines go along only where the text above would keep them', () => {
  const text = 'spec:\n  cloudInit: |\n    a: 1\n  region: x\n\n  os: {}\n'
  expect(removed(text, ['spec', 'region'])).toBe(text.replace('  region: x\n', ''))
  const keeps = text.replace('|', '|+')
  expect(removed(keeps, ['spec', 'region'])).toBe(keeps.replace('  region: x\n\n', ''))
})
