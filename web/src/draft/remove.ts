/** What a form takes out of a draft, as changes of its text; comments beside and between it stay. */
import { isAlias, isCollection, isMap, isScalar, isSeq } from 'yaml'
import type { ParsedNode } from 'yaml'

import { keptApart } from './blocks'
import type { Change } from './change'
import { read } from './draft'
import type { Draft, Path } from './draft'
import { find, last } from './find'
import type { Entry, Place } from './find'
import { BEFORE_COMMA, column, lineEnd, lineStart, nextLine } from './lines'
import { LockedError, endOf, endOfPair, valueStart } from './write'

/** Steps to the last thing that may be empty without going itself: a manifest keeps its `spec`. */
const KEPT = 1

/**
 * Take out what stands at a path, and the mappings and lists around it that have nothing else, comments included. What
 * follows does not become part of a block of text that stands above.
 */
export function remove(draft: Draft, path: Path): Change[] {
  const changes = without(draft, path)
  return [...changes, ...changes.flatMap((change) => keptApart(draft, change))]
}

function without(draft: Draft, path: Path): Change[] {
  const { way, lock } = find(draft, path)
  if (lock) throw new LockedError(lock)
  if (way.length - 1 < path.length) {
    if (read(draft, path) !== undefined) throw new LockedError('merged')
    return []
  }
  const outer = way[way.length - 2] as Place
  const place = last(way)
  if (isMerged(draft, outer, String(path.at(-1)))) throw new LockedError('merged')
  const siblings = isCollection(outer.node) ? outer.node.items.length : 0
  if (siblings === 1) return empty(draft, path, outer, place)
  const index = isSeq(outer.node) ? Number(path.at(-1)) : (outer.node as unknown as { items: Entry[] }).items.indexOf(place.pair as Entry)
  return [takeOut(draft.text, outer.node as ParsedNode, index)]
}

/** Whether a merge key of the mapping has this key too: what is taken out here would be what stands there. */
function isMerged(draft: Draft, { node }: Place, key: string): boolean {
  if (!isMap(node) || !draft.document) return false
  const document = draft.document
  const has = (one: unknown): boolean => {
    if (isAlias(one)) return has(one.resolve(document))
    if (isSeq(one)) return one.items.some(has)
    return isMap(one) && one.has(key)
  }
  return node.items.some((pair) => isScalar(pair.key) && pair.key.source === '<<' && has(pair.value))
}

/** Exchange an item of a list with the next one. */
export function swap(draft: Draft, path: Path, index: number): Change[] {
  const { way, lock } = find(draft, path)
  if (lock) throw new LockedError(lock)
  const { node } = last(way)
  if (way.length - 1 < path.length || !isSeq(node)) return []
  const [first, second] = [node.items[index], node.items[index + 1]] as (ParsedNode | undefined)[]
  if (!first || !second) return []
  const [one, other] = [spanOfItem(draft.text, node as ParsedNode, first), spanOfItem(draft.text, node as ParsedNode, second)]
  return [
    { ...one, insert: draft.text.slice(other.from, other.to) },
    { ...other, insert: draft.text.slice(one.from, one.to) },
  ]
}

/** An item with its dash, which says where its other lines begin, its names and what is said behind it on its line. */
function spanOfItem(text: string, outer: ParsedNode, item: ParsedNode): { from: number; to: number } {
  const end = endOf(item)
  const from = startOf(text, outer, item)
  if (isSeq(outer) && outer.flow) return { from, to: end }
  return { from, to: text[end - 1] === '\n' ? lineEnd(text, lineStart(text, end - 1)) : lineEnd(text, end) }
}

/** Take out the only thing of a mapping or list: with it, or leaving `{}` or `[]` where something else holds on to it. */
function empty(draft: Draft, path: Path, outer: Place, place: Place): Change[] {
  const { text } = draft
  const node = outer.node as ParsedNode
  const sign = isMap(node) ? '{}' : '[]'
  const span = isCollection(node) && node.flow ? node.range[1] : endOf(node)
  const pair = outer.pair
  const from = pair ? pair.key.range[0] : node.range[0]
  const hasComment = /(?:^|\s)#/.test(text.slice(from, lineEnd(text, span)).replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'/g, ''))
  // An item that has nothing stays one: those behind it keep their numbers.
  const isItem = typeof path.at(-2) === 'number'
  if (path.length - 1 > KEPT && !hasComment && !isItem) {
    const changes = without(draft, path.slice(0, -1))
    // What is said below would become part of a block of text above: the key stays between them.
    if (!changes.some((change) => keptApart(draft, change).length)) return changes
  }
  const change = takeOut(text, node, 0)
  if (isCollection(node) && node.flow) {
    const isCommented = text.slice(node.range[0], change.from).includes('#') || text.slice(change.to, node.range[1]).includes('#')
    return isCommented ? [change] : [{ from: node.range[0], to: node.range[1], insert: sign }]
  }
  if (!pair) {
    return [{ from: node.range[0], to: trimmed(text, endOf(place.node ?? node)), insert: sign }]
  }
  const at = valueStart(text, pair)
  return [{ from: at, to: at, insert: ` ${sign}` }, change]
}

/** The change that takes one of several things out of a mapping or list. */
function takeOut(text: string, outer: ParsedNode, index: number): Change {
  const items = (outer as unknown as { items: (ParsedNode | Entry)[]; flow?: boolean }).items
  const item = items[index] as ParsedNode | Entry
  const start = startOf(text, outer, item)
  const end = trimmed(text, 'key' in item ? endOfPair(item) : endOf(item))
  if ((outer as { flow?: boolean }).flow) return takeOutOfFlow(text, items, index, start, end)
  const before = text.slice(lineStart(text, start), start)
  const behind = text.slice(end, lineEnd(text, end))
  if (before.trim() === '') {
    // The whole lines; a comment behind the last one stays, where it was.
    if (behind.trim() === '') return wholeLines(text, start, end)
    return { from: start, to: end + (behind.length - behind.trimStart().length), insert: '' }
  }
  // The first key on the line of a dash: the next one takes its place, unless a comment is between them.
  const next = items[index + 1]
  const nextStart = next ? startOf(text, outer, next) : end
  return { from: start, to: text.slice(end, nextStart).trim() === '' ? nextStart : end, insert: '' }
}

function takeOutOfFlow(text: string, items: (ParsedNode | Entry)[], index: number, start: number, end: number): Change {
  const comma = new RegExp(`(${BEFORE_COMMA}),[ \\t]*`, 'y')
  comma.lastIndex = end
  const found = comma.exec(text)
  // The comma behind goes, and what is said before it stays.
  if (found) return apartFromComment(text, { from: start, to: comma.lastIndex, insert: found[1]?.includes('#') ? found[1] : '' })
  const previous = items[index - 1]
  if (!previous) return { from: start, to: end, insert: '' }
  const from = 'key' in previous ? endOfPair(previous) : endOf(previous)
  const between = text.slice(from, start)
  // The comma before goes, and what is said between stays.
  return { from, to: end, insert: between.includes('#') ? between.replace(new RegExp(`^(${BEFORE_COMMA}),`), '$1') : '' }
}

/** A change behind which a comment does not run into what is before it. */
function apartFromComment(text: string, change: Change): Change {
  const { from, to, insert } = change
  const isBare = !insert && text[to] === '#' && from > 0 && !/\s/.test(text[from - 1] ?? '')
  return isBare ? { ...change, insert: ' ' } : change
}

function startOf(text: string, outer: ParsedNode, item: ParsedNode | Entry): number {
  if ('key' in item) return item.key.range[0]
  if (!isSeq(outer) || outer.flow) return withNames(text, item.range[0])
  // The dash, which is where the list's own column is.
  const dash = column(text, outer.range[0])
  let line = lineStart(text, item.range[0])
  while (line > 0 && text[line + dash] !== '-') line = lineStart(text, line - 1)
  return line + dash
}

/** Where an item begins, with what names or tags it. */
function withNames(text: string, at: number): number {
  const names = /(?:[&!](?:<[^>]*>|[^\s,]*)\s+)+$/.exec(text.slice(0, at))
  return names ? names.index : at
}

function wholeLines(text: string, start: number, end: number): Change {
  return { from: lineStart(text, start), to: nextLine(text, end), insert: '' }
}

function trimmed(text: string, end: number): number {
  let at = end
  while (at > 0 && (text[at - 1] === '\n' || text[at - 1] === '\r')) at -= 1
  return at
}

