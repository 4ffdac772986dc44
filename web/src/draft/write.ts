/**
 * What a form does to a draft, as changes of its text. A change touches the bytes of its own path and no others: what
 * is around them stays as it is, comments and all.
 */
import { isCollection, isMap, isScalar, isSeq } from 'yaml'
import type { ParsedNode, YAMLMap } from 'yaml'

import type { Change } from './change'
import { isNothing, read } from './draft'
import type { Draft, Path } from './draft'
import { find, last } from './find'
import type { Entry, Lock, Place } from './find'
import { BEFORE_COMMA, column, lineBreak as lineBreakOf, lineEnd, lineStart } from './lines'
import { after, flow, isBlock, isRecord, lines, scalar } from './print'
import type { Quote } from './print'
import { styleOf } from './style'

/** What stands there is not a form's to change. */
export class LockedError extends Error {
  constructor(readonly lock: Lock) {
    super(lock)
  }
}

/** Make a path hold a value; what is missing on the way is made. */
export function write(draft: Draft, path: Path, value: unknown): Change[] {
  const { way, lock } = find(draft, path)
  if (lock) throw new LockedError(lock)
  const place = last(way)
  const rest = path.slice(way.length - 1)
  const parent = way.length > 1 ? (way[way.length - 2] as Place) : null
  if (!rest.length) {
    return JSON.stringify(read(draft, path)) === JSON.stringify(value) ? [] : replace(draft, place, parent, value)
  }
  const nested = rest.slice(1).reduceRight<unknown>((inner, step) => (typeof step === 'number' ? [inner] : { [step]: inner }), value)
  const [key] = rest as [string | number]
  if (isMap(place.node)) return insertPair(draft, place, parent, String(key), nested)
  if (isSeq(place.node)) return insertItem(draft, path.slice(0, way.length - 1), nested)
  return replace(draft, place, parent, typeof key === 'number' ? [nested] : { [key]: nested })
}

/** Add an item to the end of a list, which is made where it is missing. */
export function insertItem(draft: Draft, path: Path, value: unknown): Change[] {
  const { way, lock } = find(draft, [...path, Number.MAX_SAFE_INTEGER])
  if (lock) throw new LockedError(lock)
  const { node } = last(way)
  if (way.length - 1 < path.length || !isSeq(node) || !node.items.length) return write(draft, path, [value])
  const end = endOf(node.items.at(-1) as ParsedNode)
  if (node.flow) return [insertInFlow(draft.text, end, flow(value))]
  const indent = column(draft.text, node.range[0])
  return [insertLines(draft, end, lines([value], indent, styleOf(draft, end, indent)))]
}

/** Where the text of a node ends: of collections in lines, that of the last thing in them. */
export function endOf(node: ParsedNode): number {
  if (isCollection(node) && !node.flow && node.items.length) {
    const item = node.items.at(-1) as ParsedNode | Entry
    return 'key' in item ? endOfPair(item) : endOf(item)
  }
  return node.range[1]
}

export function endOfPair(pair: Entry): number {
  return pair.value ? endOf(pair.value) : pair.key.range[1]
}

/** Where a pair's value may begin: behind the colon, and what names or tags the value. */
export function valueStart(text: string, pair: Entry): number {
  const rest = /\s*:(?:[ \t]+[&!]\S*)*/y
  rest.lastIndex = pair.key.range[1]
  return rest.test(text) ? rest.lastIndex : pair.key.range[1]
}

function insertPair(draft: Draft, place: Place, parent: Place | null, key: string, value: unknown): Change[] {
  const map = place.node as YAMLMap.Parsed
  if (!map.items.length) return replace(draft, place, parent, { [key]: value })
  const end = endOfPair(map.items.at(-1) as unknown as Entry)
  if (map.flow) return [insertInFlow(draft.text, end, `${scalar(key, { flow: true })}: ${flow(value)}`)]
  const indent = column(draft.text, map.range[0])
  return [insertLines(draft, end, lines({ [key]: value }, indent, styleOf(draft, end, indent)))]
}

/** Put another value where one is; `parent` is what it is in. */
function replace(draft: Draft, place: Place, parent: Place | null, value: unknown): Change[] {
  const { node, pair } = place
  if (node === null && pair === null) return begin(draft, value)
  if (isCollection(node) && isBareWithComment(draft.text, node) && (isSeq(node) ? Array.isArray(value) : isRecord(value))) {
    return [{ from: node.range[0] + 1, to: node.range[0] + 1, insert: flow(value).slice(1, -1) }]
  }
  const inFlow = isCollection(parent?.node) && Boolean(parent.node.flow)
  if (isScalar(node) && isOneLine(draft.text, node) && !isNothing(node) && !isCollectionOrBlock(value)) {
    const [from, to] = node.range
    return [{ from, to, insert: scalar(value, { flow: inFlow, quote: quoteOf(draft.text, from) }) }]
  }
  if (inFlow) return [fill(draft.text, node?.range[0] ?? valueStart(draft.text, pair as Entry), node?.range[1], flow(value))]
  if (pair === null) return replaceItem(draft, node as ParsedNode, value)
  return replaceValue(draft, pair, value)
}

/** The value of a pair in lines: what was there goes, and what comes begins behind the colon. */
function replaceValue(draft: Draft, pair: Entry, value: unknown): Change[] {
  const { text } = draft
  const at = valueStart(text, pair)
  const end = pair.value && !isEmpty(pair.value) ? trimEnd(text, endOf(pair.value), at) : at
  const indent = column(text, pair.key.range[0])
  const style = styleOf(draft, end, indent)
  const printed = after(value, indent, style)
  const broken = printed.indexOf(style.lineBreak)
  const first = (broken < 0 ? printed : printed.slice(0, broken)) + headComment(text, pair)
  const rest = broken < 0 ? '' : printed.slice(broken)
  const start = pair.value?.range[0] ?? at
  const changes: Change[] = []
  if (lineStart(text, start) > at && end > at) {
    // What was there has lines of its own; comments behind the colon, above the lines and behind them stay.
    const before = lineEnd(text, lineStart(text, start) - 1)
    const isLast = text.slice(end, lineEnd(text, end)).trim() === ''
    changes.push({ from: at, to: at, insert: first })
    if (rest) changes.push({ from: lineEnd(text, at), to: lineEnd(text, at), insert: rest })
    changes.push({ from: isLast ? before : start, to: isLast ? end : text.indexOf('#', end), insert: '' })
    return changes
  }
  const eol = lineEnd(text, end)
  if (!rest) return [{ from: at, to: end, insert: first }]
  return eol === end
    ? [{ from: at, to: end, insert: first + rest }]
    : [
        { from: at, to: end, insert: first },
        { from: eol, to: eol, insert: rest },
      ]
}

/** The comment behind the bar of a block, with the space before it. */
function headComment(text: string, pair: Entry): string {
  const { value } = pair
  if (!isScalar(value) || (value.type !== 'BLOCK_LITERAL' && value.type !== 'BLOCK_FOLDED')) return ''
  return /^[|>][-+0-9]*([ \t]+#[^\r\n]*)/.exec(text.slice(value.range[0], value.range[1]))?.[1] ?? ''
}

/** An item of a list, or the whole document: on the line on which it begins. */
function replaceItem(draft: Draft, node: ParsedNode, value: unknown): Change[] {
  const { text } = draft
  const [from] = node.range
  if (isEmpty(node)) {
    if (isRecord(value) && column(text, from) === 0) return begin(draft, value)
    return [fill(text, from, from, flow(value))]
  }
  return [{ from, to: trimEnd(text, endOf(node), from), insert: flow(value) }]
}

/** The first words of a document that says nothing yet. */
function begin(draft: Draft, value: unknown): Change[] {
  const { text } = draft
  const at = draft.document ? Math.min(draft.document.range[1], text.length) : text.length
  const style = styleOf(draft, at, 0)
  const before = at > 0 && text[at - 1] !== '\n' ? style.lineBreak : ''
  return [{ from: at, to: at, insert: `${before}${lines(value, 0, style).join(style.lineBreak)}${style.lineBreak}` }]
}

/** Lines after the one on which something ends. */
function insertLines(draft: Draft, end: number, added: string[]): Change {
  const { text } = draft
  const lineBreak = lineBreakOf(text)
  const at = end > 0 && text[end - 1] === '\n' ? end : lineEnd(text, end)
  const joined = added.join(lineBreak)
  const insert = at === end && at > 0 && text[at - 1] === '\n' ? `${joined}${lineBreak}` : `${lineBreak}${joined}`
  return { from: at, to: at, insert }
}

/** One more thing within brackets, after the last one; a comma behind that one stays the last. */
function insertInFlow(text: string, end: number, added: string): Change {
  const comma = new RegExp(`${BEFORE_COMMA},`, 'y')
  comma.lastIndex = end
  if (comma.test(text)) return { from: comma.lastIndex, to: comma.lastIndex, insert: ` ${added},` }
  return { from: end, to: end, insert: `, ${added}` }
}

/** Text in the place of other text, with spaces where it would run into its neighbours. */
function fill(text: string, from: number, to: number | undefined, insert: string): Change {
  const end = to ?? from
  const before = from > 0 && !/[\s[{(]/.test(text[from - 1] ?? ' ') ? ' ' : ''
  const behind = end < text.length && !/[\s,\]}]/.test(text[end] ?? ' ') ? ' ' : ''
  return { from, to: end, insert: `${before}${insert}${behind}` }
}

/** Whether brackets or braces have nothing in them but a comment, which stays. */
function isBareWithComment(text: string, node: ParsedNode): boolean {
  return isCollection(node) && Boolean(node.flow) && !node.items.length && text.slice(node.range[0], node.range[1]).includes('#')
}

function isEmpty(node: ParsedNode): boolean {
  return node.range[0] === node.range[1]
}

function isOneLine(text: string, node: ParsedNode): boolean {
  return !text.slice(node.range[0], node.range[1]).includes('\n')
}

function isBlockString(value: unknown): value is string {
  return typeof value === 'string' && isBlock(value)
}

function isCollectionOrBlock(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || isBlockString(value)
}

/** The end of what a node says, without the line break that ends a block. */
function trimEnd(text: string, end: number, start: number): number {
  let at = end
  while (at > start && (text[at - 1] === '\n' || text[at - 1] === '\r')) at -= 1
  return at
}

function quoteOf(text: string, at: number): Quote {
  const mark = text[at]
  return mark === "'" || mark === '"' ? mark : ''
}
