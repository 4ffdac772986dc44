import { describe, expect, test } from 'vitest'

import { apply, insertItem, lockOf, parse, read, remove, swap, write } from './index'

const PUBLIC = ['spec', 'network', 'public']
const TCP = ['spec', 'network', 'tcp', 'ports']

function wrote(text: string, path: (string | number)[], value: unknown): string {
  return apply(text, write(parse(text), path, value))
}
function removed(text: string, path: (string | number)[]): string {
  return apply(text, remove(parse(text), path))
}
function added(text: string, path: (string | number)[], value: unknown): string {
  return apply(text, insertItem(parse(text), path, value))
}

describe('a value that is there', () => {
  test('is replaced by its own bytes', () => {
    const text = 'spec:\n  network:   # all of it\n    public:   yes    # why\n    x: "1"\n'
    expect(wrote(text, PUBLIC, false)).toBe(text.replace('yes', 'false'))
  })
  test('keeps its quotes', () => {
    expect(wrote("spec: {region: 'a'} # c\n", ['spec', 'region'], "b's")).toBe("spec: {region: 'b''s'} # c\n")
    expect(wrote('spec:\n  region: "a"\n', ['spec', 'region'], 'b"')).toBe('spec:\n  region: "b\\""\n')
  })
  test('is quoted where it would be read as something else', () => {
    expect(wrote('spec:\n  region: a\n', ['spec', 'region'], 'yes')).toBe('spec:\n  region: "yes"\n')
    expect(wrote('spec: {region: a}\n', ['spec', 'region'], 'a, b')).toBe('spec: {region: "a, b"}\n')
  })
  test('that says nothing but in a comment goes as a whole where something else comes', () => {
    expect(read(parse(wrote('spec:\n  region: { # none\n  }\n', ['spec', 'region'], 'ORD1')), ['spec', 'region'])).toBe('ORD1')
  })
  test('that is the same changes nothing', () => {
    expect(write(parse('spec: {network: {public: on}}'), PUBLIC, true)).toEqual([])
  })
  test('of several lines keeps the comment behind its bar', () => {
    expect(wrote('spec:\n  cloudInit: |+ # all\n    a\n', ['spec', 'cloudInit'], 'b')).toBe('spec:\n  cloudInit: b # all\n')
  })
  test('of several lines is replaced in its own', () => {
    const text = 'spec:\n  cloudInit: |\n    a: 1\n\n  region: x # c\n'
    expect(wrote(text, ['spec', 'cloudInit'], 'b: 2\nc: 3\n')).toBe(text.replace('    a: 1\n', '    b: 2\n    c: 3\n'))
  })
})

describe('a value that is missing', () => {
  test('comes after the last one of its mapping', () => {
    const text = 'spec:\n  network:\n    public: true # here\n\n    # said\n  os: {}\n'
    expect(wrote(text, ['spec', 'network', 'macAddress'], 'a2:1f')).toBe(
      'spec:\n  network:\n    public: true # here\n    macAddress: a2:1f\n\n    # said\n  os: {}\n',
    )
  })
  test('brings what it is in', () => {
    expect(wrote('spec:\n    a: 1', TCP, [22])).toBe('spec:\n    a: 1\n    network:\n        tcp:\n            ports: [22]')
    expect(wrote('spec:\n  network: # net\n', PUBLIC, true)).toBe('spec:\n  network: # net\n    public: true\n')
    expect(wrote('spec:\n  network: {} # net\n', PUBLIC, true)).toBe('spec:\n  network: # net\n    public: true\n')
    expect(wrote('spec:\n  network: ~\n', PUBLIC, true)).toBe('spec:\n  network:\n    public: true\n')
    expect(wrote('spec: {network: }\n', PUBLIC, true)).toBe('spec: {network: {public: true}}\n')
    expect(wrote('', PUBLIC, true)).toBe('spec:\n  network:\n    public: true\n')
    expect(wrote('# mine\n', PUBLIC, true)).toBe('# mine\nspec:\n  network:\n    public: true\n')
  })
  test('joins what is in braces', () => {
    expect(wrote('spec: {a: 1, b: [2],}\n', ['spec', 'c'], 3)).toBe('spec: {a: 1, b: [2], c: 3,}\n')
    expect(wrote('spec: {a: 1, # one\n}\n', ['spec', 'c'], 3)).toBe('spec: {a: 1, c: 3, # one\n}\n')
  })
  test('has the line ends of its text', () => {
    expect(wrote('spec:\r\n  a: 1\r\n', PUBLIC, true)).toBe('spec:\r\n  a: 1\r\n  network:\r\n    public: true\r\n')
  })
  test('comes behind a block, which keeps its lines', () => {
    const text = 'spec:\n  cloudInit: |+\n    a\n\n'
    expect(read(parse(wrote(text, ['spec', 'region'], 'x')), ['spec', 'cloudInit'])).toBe('a\n\n')
  })
})

describe('a list', () => {
  test('takes an item after its last one', () => {
    expect(added('spec:\n  ports:\n  - 22 # ssh\n  # more\n  x: 1\n', ['spec', 'ports'], 80)).toBe(
      'spec:\n  ports:\n  - 22 # ssh\n  - 80\n  # more\n  x: 1\n',
    )
    expect(added('spec: {ports: [22]}\n', ['spec', 'ports'], 80)).toBe('spec: {ports: [22, 80]}\n')
    expect(added('spec:\n  vpcs:\n    - name: a\n', ['spec', 'vpcs'], { name: 'b' })).toBe('spec:\n  vpcs:\n    - name: a\n    - name: b\n')
    expect(added('spec:\n  a: 1\n', ['spec', 'vpcs'], { name: 'b' })).toBe('spec:\n  a: 1\n  vpcs:\n    - name: b\n')
    expect(added('spec:\n  ports: []\n', ['spec', 'ports'], 22)).toBe('spec:\n  ports: [22]\n')
  })
  test('loses an item and no comment', () => {
    expect(removed('spec:\n  p:\n  # first\n  - 22 # ssh\n  - 80\n', ['spec', 'p', 1])).toBe('spec:\n  p:\n  # first\n  - 22 # ssh\n')
    expect(removed('spec:\n  p:\n  # first\n  - 22 # ssh\n  - 80\n', ['spec', 'p', 0])).toBe('spec:\n  p:\n  # first\n  # ssh\n  - 80\n')
    expect(removed('spec: {p: [22, 80, 443]}\n', ['spec', 'p', 2])).toBe('spec: {p: [22, 80]}\n')
    expect(removed('spec: {p: [22, 80, 443]}\n', ['spec', 'p', 0])).toBe('spec: {p: [80, 443]}\n')
  })
  test('within brackets loses an item and no comment', () => {
    expect(removed('spec: {p: [22, # ssh\n  80]}\n', ['spec', 'p', 0])).toBe('spec: {p: [ # ssh\n  80]}\n')
    expect(removed('spec: {p: [22 # ssh\n  , 80]}\n', ['spec', 'p', 0])).toBe('spec: {p: [ # ssh\n  80]}\n')
    expect(removed('spec: {p: [22 # ssh, for all\n  , 80]}\n', ['spec', 'p', 1])).toBe('spec: {p: [22 # ssh, for all\n   ]}\n')
    expect(removed('spec: {p: [22, 80 # web, too\n  ]}\n', ['spec', 'p', 1])).toBe('spec: {p: [22 # web, too\n  ]}\n')
    expect(removed('spec: {x: 1, p: {a: 1, # one\n  }}\n', ['spec', 'p', 'a'])).toBe('spec: {x: 1, p: { # one\n  }}\n')
    expect(removed('spec: {p: [a!b, c]}\n', ['spec', 'p', 1])).toBe('spec: {p: [a!b]}\n')
    expect(added('spec: {p: [22 # ssh, for all\n  ]}\n', ['spec', 'p'], 80)).toBe('spec: {p: [22, 80 # ssh, for all\n  ]}\n')
  })
  test.each([
    ['  - name: a\n  -   name: b\n      x: 1\n', '  -   name: b\n      x: 1\n  - name: a\n'],
    ['  -\n    name: a\n    x: 1\n  - name: b # two', '  - name: b # two\n  -\n    name: a\n    x: 1'],
    ['  - !!str 5\n  -   - q\n', '  -   - q\n  - !!str 5\n'],
    ['  - # one\n    name: a\n  - {name: b}\n', '  - {name: b}\n  - # one\n    name: a\n'],
    ['  - |\n    text\n  - b\n', '  - b\n  - |\n    text\n'],
    ['    [!!str 5, {name: b}]\n', '    [{name: b}, !!str 5]\n'],
  ])('of %j has its items exchanged as they are written', (items, wanted) => {
    const draft = parse(`spec:\n  v:\n${items}`)
    const after = parse(apply(draft.text, swap(draft, ['spec', 'v'], 0)))
    expect(after.text).toBe(`spec:\n  v:\n${wanted}`)
    expect(after.faults).toEqual([])
    expect(read(after, ['spec', 'v'])).toEqual((read(draft, ['spec', 'v']) as unknown[]).toReversed())
  })
  test('has two of its items exchanged, each with what is said behind it', () => {
    const text = 'spec:\n  v:\n    - name: a # one\n    # between\n    - name: b\n      x: 1\n'
    expect(apply(text, swap(parse(text), ['spec', 'v'], 0))).toBe(
      'spec:\n  v:\n    - name: b\n      x: 1\n    # between\n    - name: a # one\n',
    )
  })
})

describe('what is taken out', () => {
  test('takes its lines and what would be empty', () => {
    const text = 'spec:\n  network:\n    public: true\n    tcp:\n      ports: [22]\n  os: x\n'
    expect(removed(text, TCP)).toBe('spec:\n  network:\n    public: true\n  os: x\n')
  })
  test('leaves every comment beside it', () => {
    const text = 'spec:\n  network:\n    # why\n    tcp: # web\n      ports: [22] # ssh\n    public: true\n'
    expect(removed(text, TCP)).toBe('spec:\n  network:\n    # why\n    tcp: {} # web\n      # ssh\n    public: true\n')
  })
  test('lets the next key take the place behind a dash', () => {
    expect(removed('spec:\n  d:\n    - name: a\n      x: 1\n', ['spec', 'd', 0, 'name'])).toBe('spec:\n  d:\n    - x: 1\n')
  })
  test('of the last line leaves the line before as it is', () => {
    expect(removed('spec:\n  a: 1\n  b: 2', ['spec', 'b'])).toBe('spec:\n  a: 1\n')
  })
  test('keeps the spec', () => {
    expect(removed('spec:\n  a: 1\n', ['spec', 'a'])).toBe('spec: {}\n')
  })
})

describe('what a form may not change', () => {
  test.each([
    ['spec:\n  network: *net\nx: &net {public: true}\n', 'faulty'],
    ['x: &net {public: true}\nspec:\n  network: *net\n', 'alias'],
    ['spec:\n  network: &net {public: true}\nx: *net\n', 'shared'],
    ['x: &net {network: {public: true}}\nspec:\n  <<: *net\n', 'merged'],
    ['spec: {network: {public: !!bool "true"}}\n', 'tagged'],
    ['spec: {network: none}\n', 'shape'],
    ['spec: {a: [}\n', 'faulty'],
    ['spec: {a: 1}\nspec: {}\n', 'faulty'],
  ])('%j: %s', (text, lock) => expect(lockOf(parse(text), PUBLIC)).toBe(lock))
})

test('of several documents the first VirtualServer is meant', () => {
  const text = '---\nkind: Secret\nspec: {a: 1}\n---\n# mine\nkind: VirtualServer\nspec:\n  a: 1\n---\nkind: X\n'
  expect(wrote(text, ['spec', 'a'], 2)).toBe(text.replace('a: 1\n---\nkind: X', 'a: 2\n---\nkind: X'))
})

test('a key behind a question mark is left to the text, and a question mark in a text is none', () => {
  expect(lockOf(parse('? spec\n: a: 1\n'), ['spec', 'a'])).toBe('shape')
  expect(lockOf(parse('spec: {? a : 1}\n'), ['spec', 'a'])).toBe('shape')
  expect(lockOf(parse('spec:\n  why: is it ?\n  a: 1\n'), ['spec', 'a'])).toBeNull()
})

test.each(['*a', '*!', '&a b', '!!int 1'])('%s is a string, and no name or tag', (value) => {
  const draft = parse('spec:\n  a: x\n')
  expect(read(parse(apply(draft.text, write(draft, ['spec', 'a'], value))), ['spec', 'a'])).toBe(value)
})

test('what hides a merged value is not taken out, since that one would be there again', () => {
  const text = 'd: &d {a: 1}\nspec:\n  <<: *d\n  a: 2\n  b: 3\n'
  expect(() => remove(parse(text), ['spec', 'a'])).toThrow('merged')
  expect(removed(text, ['spec', 'b'])).toBe(text.replace('  b: 3\n', ''))
})

test('a carriage return alone is a fault, since the API server ends the line there; one before a line feed is none', () => {
  expect(parse('a: false\r # c\n').faults.map((one) => one.at)).toEqual([8])
  expect(parse('a: false # c\r\nb: 1\r\n').faults).toEqual([])
})
