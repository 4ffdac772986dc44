/** Where a draft's text has what nobody should read over a shoulder. */
import { isAlias, isMap, isNode, isScalar, isSeq, visit } from 'yaml'
import type { Document, ParsedNode, YAMLMap } from 'yaml'

import type { Draft } from './draft'
import { LAST_APPLIED } from './lastApplied'
import { lineEnd, lineStart, nextLine } from './lines'

export interface Span {
  readonly from: number
  readonly to: number
}

/** What of a Secret is secret. */
const CONTENTS = ['data', 'stringData']

/** Whether what stands at a key is not for everybody: a password, or where kubectl repeats them. */
export function isSecret(key: unknown): boolean {
  return key === 'password' || key === LAST_APPLIED
}

/** The passwords in any of the documents, where kubectl repeats them, and what Secrets have, as they are written and in their order. */
export function secrets(draft: Draft): Span[] {
  if (draft.faults.length) return likely(draft.text)
  return draft.all.flatMap((document) => secretsOf(draft.text, document)).sort((a, b) => a.from - b.from)
}

function secretsOf(text: string, document: Document.Parsed<ParsedNode, true>): Span[] {
  const seen = new Set<unknown>()
  const spans: Span[] = []
  const hide = (found: unknown): void => {
    const node = followed(document, found)
    if (!isNode(node) || seen.has(node)) return
    seen.add(node)
    if (isMap(node)) node.items.forEach((pair) => hide(pair.value))
    else if (isSeq(node)) node.items.forEach(hide)
    else if (node.range) spans.push({ from: node.range[0], to: trimmed(text, node.range[0], node.range[1]) })
  }
  const hideContents = (map: YAMLMap, way: readonly unknown[] = []): void => {
    for (const { key, value } of map.items) {
      if (!isScalar(key)) continue
      if (CONTENTS.includes(String(key.value))) hide(value)
      if (key.source !== '<<') continue
      const merged = followed(document, value)
      const all = isSeq(merged) ? merged.items.map((one) => followed(document, one)) : [merged]
      for (const one of all) if (isMap(one) && !way.includes(one)) hideContents(one, [...way, one])
    }
  }
  visit(document, {
    Pair: (_, { key, value }) => void (isScalar(key) && isSecret(key.value) && hide(value)),
    Map: (_, map) => void (map.get('kind') === 'Secret' && hideContents(map)),
  })
  return spans.filter(({ from, to }) => to > from)
}

/** What a name stands for. */
function followed(document: Document.Parsed<ParsedNode, true>, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node
}

/** A key behind which there may be a secret, in a text that cannot be read. */
const KEY = new RegExp(String.raw`["']?(?:\bpassword|(?<![\w.-])(?:${CONTENTS.join('|')})|${LAST_APPLIED.replaceAll('.', String.raw`\.`)})["']?\s*:[ \t]*`, 'g')
/** A string in quotes, with nothing behind it on its line that could be more of it. */
const QUOTED = /(?:"(?:[^"\\]|\\[^])*"|'(?:[^']|'')*')(?=[ \t]*(?:[\r\n]|[ \t]#|$))/y

/** What looks like one, in a text that cannot be read: rather too much than too little. */
function likely(text: string): Span[] {
  const spans: Span[] = []
  const keys = new RegExp(KEY)
  for (let key = keys.exec(text); key; key = keys.exec(text)) {
    const from = keys.lastIndex
    const to = endOfLikely(text, key.index, from)
    if (to > from) spans.push({ from, to })
    keys.lastIndex = Math.max(from, to)
  }
  return spans
}

/** Where a value ends that may begin at an offset: with its quote, or with its line and those below that are deeper than its key. */
function endOfLikely(text: string, key: number, from: number): number {
  QUOTED.lastIndex = from
  if (QUOTED.test(text)) return QUOTED.lastIndex
  const column = columnOf(text, key, from)
  let end = lineEnd(text, from)
  for (let at = nextLine(text, from); at < text.length; at = nextLine(text, at)) {
    const line = text.slice(at, lineEnd(text, at))
    const space = /^[ \t]*/.exec(line)?.[0] ?? ''
    if (space === line) continue
    if (space.length <= column && !space.includes('\t')) break
    end = at + line.length
  }
  return trimmed(text, from, end)
}

/** The column that what belongs to a key is deeper than: the key's own, within brackets that of its line. */
function columnOf(text: string, key: number, value: number): number {
  const line = lineStart(text, key)
  const before = text.slice(line, key)
  // The colon of an explicit key (`? password`) begins a line of its own.
  const colon = lineStart(text, value) > line ? text.slice(lineStart(text, value), value).search(/\S/) : key - line
  return Math.min(colon, /[[{,]/.test(before) ? before.search(/\S/) : key - line)
}

/** An end without the white space before it. */
function trimmed(text: string, from: number, end: number): number {
  return from + text.slice(from, end).trimEnd().length
}
