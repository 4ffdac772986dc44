/**
 * A draft: the text of a manifest, and what it means. The text is the truth; nothing here ever prints it anew.
 *
 * It is read as the API server reads it (YAML 1.1: `yes` is true), and of several documents the first VirtualServer is
 * the one that is meant.
 */
import { isAlias, isMap, isScalar, parseAllDocuments, visit } from 'yaml'
import type { Document, ParsedNode, Tags } from 'yaml'

export type Path = readonly (string | number)[]

/** A fault of the text, with the offset at which it is. */
export interface Fault {
  readonly at: number
  readonly message: string
}

export interface Draft {
  readonly text: string
  /** The document that is meant; null where there is none yet. */
  readonly document: Document.Parsed<ParsedNode, true> | null
  /** What it says, with aliases and merge keys followed; `{}` where there is none or it is faulty. */
  readonly value: Record<string, unknown>
  /** Why nothing can be read from the text or written into it; empty for a good one. */
  readonly faults: readonly Fault[]
  /** All documents of the text. */
  readonly all: readonly Document.Parsed<ParsedNode, true>[]
  /** How many these are. */
  readonly documents: number
  /** Names of anchors that something refers to. */
  readonly shared: ReadonlySet<string>
}

const KIND = 'VirtualServer'

/** Forms that the API server's reader does not know: it has times as strings, and no numbers of base 60. */
const UNKNOWN = new Set(['tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:set', 'tag:yaml.org,2002:omap', 'tag:yaml.org,2002:pairs'])

export const OPTIONS = {
  version: '1.1',
  merge: true,
  logLevel: 'silent',
  customTags: (tags: Tags): Tags =>
    tags.filter((tag) => typeof tag === 'string' || (!UNKNOWN.has(tag.tag) && !('format' in tag && tag.format === 'TIME'))),
} as const

export function parse(text: string): Draft {
  const documents = [...parseAllDocuments(text, OPTIONS)] as Document.Parsed<ParsedNode, true>[]
  const faults = [...loneReturn(text), ...documents.flatMap((one) => one.errors.map((error) => ({ at: error.pos[0], message: words(error.message) })))]
  const document = documents.find((one) => isMap(one.contents) && one.get('kind') === KIND) ?? documents[0] ?? null
  const empty = { text, document, value: {}, all: documents, documents: documents.length, shared: new Set<string>() }
  if (faults.length || !document) return { ...empty, faults }
  if (!isMap(document.contents) && !isNothing(document.contents)) {
    const at = document.contents?.range[0] ?? 0
    return { ...empty, faults: [{ at, message: 'a manifest is a mapping, such as `kind: VirtualServer`' }] }
  }
  try {
    const value = (document.toJS() ?? {}) as Record<string, unknown>
    return { ...empty, value, faults, shared: shared(document) }
  } catch (error) {
    return { ...empty, faults: [{ at: 0, message: words(String(error)) }] }
  }
}

/** What stands at a path, with aliases and merge keys followed; undefined where nothing does. */
export function read(draft: Draft, path: Path): unknown {
  let value: unknown = draft.value
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

export function isNothing(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null)
}

function shared(document: Document.Parsed<ParsedNode, true>): Set<string> {
  const found = new Set<string>()
  visit(document, { Alias: (_, node) => void (isAlias(node) && found.add(node.source)) })
  return found
}

/** A carriage return that is no part of a line end here ends a line for the API server: the two would read differently. */
function loneReturn(text: string): Fault[] {
  const at = text.search(/\r(?!\n)/)
  return at < 0 ? [] : [{ at, message: 'a carriage return without a line feed behind it: the API server would end the line here' }]
}

function words(message: string): string {
  // The first line says it; what follows shows the place, which the editor marks.
  return (message.split('\n')[0] ?? message).replace(/ at line \d+, column \d+:?$/, '')
}
