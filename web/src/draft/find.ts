/** Where a path leads in a draft's text, and why something there may not be changed by a form. */
import { isAlias, isMap, isPair, isScalar, isSeq, visit } from 'yaml'
import type { Pair, ParsedNode, Scalar, YAMLMap } from 'yaml'

import { isNothing, read } from './draft'
import type { Draft, Path } from './draft'

/** How far before a key its question mark is looked for. */
const QUESTION = 200

export type Entry = Pair<Scalar.Parsed, ParsedNode | null>

/**
 * Why a form may not change what stands at a path:
 * - `faulty`: the text cannot be read;
 * - `alias`: it is written elsewhere, and a name stands here;
 * - `shared`: other places have what is written here, by its name;
 * - `merged`: it comes from elsewhere by a merge key;
 * - `tagged`: a tag says how it is read;
 * - `shape`: something else stands there than a form expects.
 */
export type Lock = 'faulty' | 'alias' | 'shared' | 'merged' | 'tagged' | 'shape'

/** A node, and the pair of a mapping whose value it is. */
export interface Place {
  readonly node: ParsedNode | null
  readonly pair: Entry | null
}

/** What a path leads to. */
export interface Found {
  /** The places on the way that are there, the document first; one more than the path's steps where all are. */
  readonly way: readonly [Place, ...Place[]]
  readonly lock: Lock | null
}

export function find(draft: Draft, path: Path): Found {
  const way: [Place, ...Place[]] = [{ node: draft.document?.contents ?? null, pair: null }]
  if (draft.faults.length) return { way, lock: 'faulty' }
  for (const [depth, step] of path.entries()) {
    const { node } = last(way)
    const lock = lockOfWay(draft, node)
    if (lock || isNothing(node)) return { way, lock }
    if (!(isMap(node) || (isSeq(node) && typeof step === 'number'))) return { way, lock: 'shape' }
    const next = isMap(node) ? stepInto(node, step) : { node: (node.items[Number(step)] ?? null) as ParsedNode | null, pair: null }
    if (!next.node && !next.pair) {
      const isEnd = depth === path.length - 1
      return { way, lock: !isEnd && read(draft, path.slice(0, depth + 1)) !== undefined ? 'merged' : null }
    }
    way.push(next)
  }
  return { way, lock: lockOfWhole(draft, last(way).node) }
}

export function last<T>(items: readonly [T, ...T[]]): T {
  return items[items.length - 1] as T
}

/** Why a form may not change what stands at a path; null where it may. */
export function lockOf(draft: Draft, path: Path): Lock | null {
  return find(draft, path).lock
}

/** Why nothing below a node may be changed. */
function lockOfWay(draft: Draft, node: ParsedNode | null): Lock | null {
  if (isAlias(node)) return 'alias'
  // What is behind a question mark goes over lines in more ways than a form knows.
  if (isMap(node) && node.items.some((pair) => isExplicit(draft.text, pair as Entry))) return 'shape'
  return isShared(draft, node) ? 'shared' : null
}

/** Why a node may not be changed as a whole. */
function lockOfWhole(draft: Draft, node: ParsedNode | null): Lock | null {
  const lock = lockOfWay(draft, node)
  if (lock || node === null) return lock
  if (isScalar(node) && node.tag) return 'tagged'
  let isSharedBelow = false
  visit(node, { Node: (_, one) => ((isSharedBelow ||= isShared(draft, one)) ? visit.BREAK : undefined) })
  return isSharedBelow ? 'shared' : null
}

/** Whether a key has a question mark before it. */
function isExplicit(text: string, pair: Entry): boolean {
  return /(?:(?:^|\n)[ \t]*(?:[-:?][ \t]+)*|[{,]\s*)\?\s+$/.test(text.slice(Math.max(0, pair.key.range[0] - QUESTION), pair.key.range[0]))
}

function isShared(draft: Draft, node: unknown): boolean {
  const anchor = (node as { anchor?: string } | null)?.anchor
  return anchor !== undefined && draft.shared.has(anchor)
}

function stepInto(map: YAMLMap, step: string | number): Place {
  const pair = map.items.find((one) => isPair(one) && isScalar(one.key) && String(one.key.value) === String(step))
  const entry = (pair ?? null) as Entry | null
  return { node: entry?.value ?? null, pair: entry }
}
