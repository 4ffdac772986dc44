/** What every form action promises, on texts as people write them. */
import * as fc from 'fast-check'
import { Lexer, isAlias, isCollection, isScalar, visit } from 'yaml'
import { describe, expect, test } from 'vitest'

import { FAULTY, MANIFESTS, variants } from './corpus/manifests'
import { find, last } from './find'
import { endOf } from './write'
import { LockedError, apply, insertItem, lockOf, parse, read, remove, swap, write } from './index'
import type { Change, Draft, Path } from './index'

interface Action {
  readonly name: string
  readonly path: Path
  readonly make: (draft: Draft) => Change[]
  /** What the value of a manifest becomes. */
  readonly means: (value: Value) => Value
  /** What of the text goes: what is replaced or taken out, and from where. */
  readonly takes: 'nothing' | 'value' | 'key and value'
}

type Value = Record<string, unknown>

function setting(path: Path, value: unknown): Action {
  return { name: `set ${path.join('.')} ${JSON.stringify(value)}`, path, make: (draft) => write(draft, path, value), means: (before) => put(before, path, value) as Value, takes: 'value' }
}

function adding(path: Path, value: unknown): Action {
  const means = (before: Value) => {
    const there = path.reduce<unknown>((at, step) => (at as Value | undefined)?.[step], before)
    return put(before, path, [...(Array.isArray(there) ? there : []), value]) as Value
  }
  return { name: `add ${path.join('.')} ${JSON.stringify(value)}`, path, make: (draft) => insertItem(draft, path, value), means, takes: 'nothing' }
}

function removing(path: Path): Action {
  return { name: `remove ${path.join('.')}`, path, make: (draft) => remove(draft, path), means: (before) => take(before, path) as Value, takes: 'key and value' }
}

const NETWORK = ['spec', 'network']
const ACTIONS: readonly Action[] = [
  ...[true, false].flatMap((on) => [setting([...NETWORK, 'public'], on), setting([...NETWORK, 'directAttachLoadBalancerIP'], on)]),
  setting([...NETWORK, 'macAddress'], 'a2:1f:ee:09:06:5d'),
  setting([...NETWORK, 'tcp', 'ports'], [22, 8080]),
  setting(['spec', 'region'], 'yes'),
  setting(['spec', 'region'], "it's # [here]: {x}"),
  setting(['spec', 'cloudInit'], 'a: 1\nb:\n  - c\n'),
  setting(['spec', 'cloudInit'], 'a: 1\n\n  b\n\n\n'),
  setting(['spec', 'cloudInit'], ' starts with a space\nand goes on'),
  setting(['spec', 'resources', 'cpu', 'count'], 4),
  setting(['metadata', 'name'], 'other'),
  setting(['metadata', 'labels', 'a.b/c'], '1'),
  adding([...NETWORK, 'tcp', 'ports'], 8443),
  adding([...NETWORK, 'udp', 'ports'], 53),
  adding([...NETWORK, 'vpcs'], { name: 'green' }),
  adding([...NETWORK, 'floatingIPs'], { serviceName: 'mine' }),
  adding([...NETWORK, 'dnsConfig', 'nameservers'], '2001:db8::1'),
  adding(['spec', 'users'], { username: 'new', sshpublickey: 'ssh-ed25519 AAAA x' }),
  setting(['spec', 'users', 0, 'password'], 'p # w'),
  removing([...NETWORK, 'public']),
  removing([...NETWORK, 'tcp', 'ports', 0]),
  removing([...NETWORK, 'tcp', 'ports', 1]),
  removing([...NETWORK, 'tcp', 'ports']),
  removing([...NETWORK, 'vpcs', 0]),
  removing(['spec', 'users', 0]),
  removing(['spec', 'users', 0, 'username']),
  removing(['spec', 'users', 1]),
  removing(['spec', 'cloudInit']),
  removing(['spec', 'region']),
  removing(['metadata', 'labels', 'tier']),
  removing(['metadata', 'labels', 'a.b/c']),
]

/** For a closer look: texts whose names begin so, and how many examples. */
const ONLY = process.env['LENS']
const RUNS = Number(process.env['LENS_RUNS'] ?? 300)
/** The suite tries the same examples each time; who looks for more, with `LENS_RUNS`, others each time. */
const EXAMPLES = process.env['LENS_RUNS'] ? {} : { seed: 7 }
/** Name, text, and the actions that are tried on it: on a variant every third, so that all three have all of them. */
const TEXTS = Object.entries(MANIFESTS)
  .filter(([name]) => !ONLY || name.startsWith(ONLY))
  .flatMap(([name, text]) =>
    Object.entries(variants(text)).map(([how, one], variant) => {
      const actions = ACTIONS.filter((_, index) => variant === 0 || index % 3 === variant - 1)
      return [how ? `${name}, ${how}` : name, one, actions] as const
    }),
  )

/** What is known of a text: looked at once, since many actions begin with it. */
const known = memoized((text: string) => ({ draft: parse(text), comments: comments(text) }))

/** Do an action, and check what it promises; the text that comes of it. */
function done(text: string, action: Action): string {
  const { draft } = known(text)
  let changes: Change[]
  try {
    changes = action.make(draft)
  } catch (error) {
    expect(error).toBeInstanceOf(LockedError)
    expect((error as LockedError).lock).not.toBe('faulty')
    return text
  }
  if (!changes.length) return text
  const after = apply(text, changes)
  const result = known(after)
  expect(result.draft.faults, after).toEqual([])
  expect(result.draft.documents).toBe(Math.max(draft.documents, 1))
  expect(plain(result.draft.value), after).toEqual(plain(action.means(draft.value)))
  expect(result.comments, after).toEqual(kept(draft, action))
  for (const { from, to } of changes) expect(bystanders(draft, action.path, from, to), after).toEqual([])
  if (/\n/.test(text) && !/[^\r]\n/.test(text)) expect(after).not.toMatch(/[^\r]\n/)
  return after
}

function memoized<T>(look: (text: string) => T): (text: string) => T {
  const seen = new Map<string, T>()
  return (text) => {
    const found = seen.get(text) ?? look(text)
    seen.set(text, found)
    return found
  }
}

test('there are at least 60 texts', () => expect(TEXTS.length).toBeGreaterThanOrEqual(60))

describe.each(TEXTS)('%s', (_name, text, actions) => {
  test('is read without a fault, and nothing changes it by itself', () => {
    expect(parse(text).faults).toEqual([])
    expect(apply(text, [])).toBe(text)
  })
  test('any action of a form changes its own bytes alone', () => {
    for (const action of actions) {
      const after = done(text, action)
      if (action.name.startsWith('set') && after !== text) expect(done(after, action), action.name).toBe(after)
    }
  })
})

test.each(TEXTS)('%s: items that change places take what is said behind them along', (_name, text) => {
  const { draft } = known(text)
  for (const path of [[...NETWORK, 'tcp', 'ports'], [...NETWORK, 'vpcs'], ['spec', 'users']]) {
    const before = read(draft, path)
    if (!Array.isArray(before) || before.length < 2 || lockOf(draft, path)) continue
    const after = apply(text, swap(draft, path, 0))
    expect(known(after).draft.faults, after).toEqual([])
    expect(read(known(after).draft, path)).toEqual([before[1], before[0], ...before.slice(2)])
    expect([...known(after).comments].sort()).toEqual([...known(text).comments].sort())
    expect(after.length).toBe(text.length)
  }
})

test.each(Object.entries(FAULTY))('%s: no form touches it', (_, text) => {
  expect(parse(text).faults).not.toEqual([])
  for (const action of ACTIONS) expect(() => action.make(parse(text))).toThrow(LockedError)
})

test('any row of actions leaves a text that says what they say', () => {
  const rows = fc.tuple(fc.constantFrom(...TEXTS.map(([, text]) => text)), fc.array(fc.constantFrom(...ACTIONS), { minLength: 2, maxLength: 8 }))
  fc.assert(
    fc.property(rows, ([text, actions]) => {
      actions.reduce(done, text)
    }),
    { ...EXAMPLES, numRuns: RUNS },
  )
})

test('any string that is written is read again', () => {
  const texts = fc.constantFrom('spec:\n  a: x\n', 'spec: {a: x}\n', "spec:\n  a: 'x' # c\n", 'spec: {a: "x"}\n', 'spec:\n  a: |\n    x\n', 'spec:\n  b: 1\n', 'spec: {b: 1}')
  const strings = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom(..."ab01 \t\n\r#:-?[]{},&*!|>'\"%@`~.\u0085\u2028\ufeff\u0007") }))
  fc.assert(
    fc.property(texts, strings, (text, value) => {
      const after = apply(text, write(parse(text), ['spec', 'a'], value))
      expect(parse(after).faults).toEqual([])
      expect(read(parse(after), ['spec', 'a'])).toBe(value)
    }),
    { ...EXAMPLES, numRuns: 3 * RUNS },
  )
})

function put(value: unknown, path: Path, wanted: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return wanted
  if (typeof step === 'number') {
    const items = Array.isArray(value) ? [...(value as unknown[])] : []
    if (step < items.length) items[step] = put(items[step], rest, wanted)
    else items.push(put(undefined, rest, wanted))
    return items
  }
  return { ...(value as Value | undefined), [step]: put((value as Value | undefined)?.[step], rest, wanted) }
}

/** The value without what stands at a path. */
function take(value: unknown, path: Path): unknown {
  const [step, ...rest] = path
  if (typeof value !== 'object' || value === null || step === undefined || !Object.hasOwn(value, step)) return value
  if (Array.isArray(value)) return rest.length ? value.with(Number(step), take(value[Number(step)], rest)) : value.filter((_, index) => index !== step)
  const { [step]: _, ...others } = value as Value
  return rest.length ? { ...value, [step]: take((value as Value)[step], rest) } : others
}

/** A value in which what is empty is nothing: a form leaves `{}` where a comment holds on to it. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.length ? value.map((one) => plain(one) ?? null) : undefined
  if (typeof value !== 'object' || value === null) return value ?? undefined
  const pairs = Object.entries(value).map(([key, one]) => [key, plain(one)] as const).filter(([, one]) => one !== undefined)
  return pairs.length ? Object.fromEntries(pairs.sort()) : undefined
}

function comments(text: string): string[] {
  return [...new Lexer().lex(text)].filter((token) => token.startsWith('#')).map((token) => token.trimEnd())
}

/** The comments of a text that an action leaves: all but those within what it replaces or takes out. */
function kept(draft: Draft, { path, takes }: Action): string[] {
  const all = known(draft.text).comments
  const { way } = find(draft, path)
  const place = last(way)
  if (takes === 'nothing' || way.length - 1 < path.length || !place.node) return all
  // What is behind the bar of a block stays where only the value changes.
  if (takes === 'value' && isScalar(place.node)) return all
  // Brackets with nothing in them but comments are filled.
  if (takes === 'value' && isCollection(place.node) && place.node.flow && !place.node.items.length) return all
  const from = takes === 'key and value' && place.pair ? place.pair.key.range[0] : place.node.range[0]
  const before = comments(draft.text.slice(0, from)).length
  const within = comments(draft.text.slice(from, endOf(place.node))).length
  return all.filter((_, index) => index < before || index >= before + within)
}

/** What stands in a range and is not at the path or on the way to it. */
function bystanders(draft: Draft, path: Path, from: number, to: number): string[] {
  const found: string[] = []
  const own: unknown = draft.document?.getIn(path, true)
  const way = new Set(path.map((_, index) => draft.document?.getIn(path.slice(0, index + 1), true)))
  visit(draft.document, {
    Pair(_, pair) {
      if (pair.value === own || way.has(pair.value)) return pair.value === own ? visit.SKIP : undefined
      return undefined
    },
    Node(key, node) {
      if (node === own) return visit.SKIP
      if (key === 'key' || !(isScalar(node) || isAlias(node)) || !node.range || way.has(node)) return undefined
      const [start, end] = node.range
      if (start < to && from < end && end > start) found.push(draft.text.slice(start, end))
      return undefined
    },
  })
  return found
}
