/** Values as YAML, for the places where a draft gets one that it did not have. */
import { parseDocument, visit } from 'yaml'
import type { Document } from 'yaml'

import { OPTIONS } from './draft'

export type Quote = "'" | '"' | ''

/** How a text is laid out, so that what is added looks like what is there. */
export interface Style {
  /** Spaces by which a mapping is indented in another. */
  readonly step: number
  /** Spaces by which a list is indented in a mapping. */
  readonly listStep: number
  readonly lineBreak: string
  /** Whether strings of several lines may be blocks: a comment that follows would become part of one. */
  readonly hasBlocks: boolean
}

/** A scalar on one line; strings that would be read as something else are quoted. */
export function scalar(value: unknown, options: { flow?: boolean; quote?: Quote } = {}): string {
  if (typeof value !== 'string') return value === null ? 'null' : JSON.stringify(value)
  if (options.quote === "'" && !value.includes('\n') && !ESCAPED.test(value)) {
    return `'${value.replaceAll("'", "''")}'`
  }
  return options.quote || !isPlain(value, options.flow ?? false) ? quoted(value) : value
}

/** A value within brackets and braces, on one line. */
export function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (isRecord(value)) {
    const pairs = Object.entries(value).map(([key, one]) => `${scalar(key, { flow: true })}: ${flow(one)}`)
    return `{${pairs.join(', ')}}`
  }
  return scalar(value, { flow: true })
}

/** What comes after `key:` or `-`: a space and a scalar, or lines that are indented more than `indent`. */
export function after(value: unknown, indent: number, style: Style): string {
  const inner = isRecord(value) ? indent + style.step : indent + style.listStep
  if (isCollection(value)) return style.lineBreak + lines(value, inner, style).join(style.lineBreak)
  if (typeof value === 'string' && style.hasBlocks && isBlock(value)) return ` ${block(value, indent + style.step, style)}`
  return ` ${Array.isArray(value) || isRecord(value) ? flow(value) : scalar(value)}`
}

/** The lines of a mapping or a list, without the last one's line break. */
export function lines(value: unknown, indent: number, style: Style): string[] {
  const space = ' '.repeat(indent)
  if (Array.isArray(value)) return value.flatMap((one) => item(one, indent, style))
  return Object.entries(value as object).map(([key, one]) => `${space}${scalar(key)}:${after(one, indent, style)}`)
}

/** The lines of an item of a list, the dash at `indent`. */
export function item(value: unknown, indent: number, style: Style): string[] {
  const space = ' '.repeat(indent)
  if (!isRecord(value) || !Object.keys(value).length) return [`${space}-${after(value, indent, style)}`]
  const inner = lines(value, indent + 2, style)
  return inner.map((line, index) => (index ? line : `${space}- ${line.slice(indent + 2)}`))
}

/** What no block can have: characters that are escaped, and line breaks other than the text's own. */
const ESCAPED = /[\r\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufeff\u2028\u2029]/

/** Whether a string is written as a block with a bar; one with empty lines at its end would take those that follow. */
export function isBlock(value: string): boolean {
  return value.includes('\n') && !/^[ \t\n]|\n\n$/.test(value) && !ESCAPED.test(value)
}

/** A string as a block: the bar, and its lines. */
export function block(value: string, indent: number, style: Style): string {
  const body = value.replace(/\n$/, '')
  const shown = body.split('\n').map((line) => (line ? ' '.repeat(indent) + line : ''))
  return [body === value ? '|-' : '|', ...shown].join(style.lineBreak)
}

/** Whether a value takes lines of its own: short lists of numbers and words do not. */
function isCollection(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((one) => typeof one === 'object' && one !== null)
  return isRecord(value) && Object.keys(value).length > 0
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether a string is itself without quotes, for readers of YAML 1.1 and of 1.2. */
function isPlain(value: string, inFlow: boolean): boolean {
  if (value === '' || value.trim() !== value || /[\n\r\u0085\u2028\u2029\ufeff]/.test(value)) return false
  const text = inFlow ? `[${value}]` : `k: ${value}\n`
  return [OPTIONS, { version: '1.2', logLevel: 'silent' } as const].every((options) => {
    const document = parseDocument(text, options)
    if (document.errors.length || hasAlias(document)) return false
    return JSON.stringify(document.toJS()) === JSON.stringify(inFlow ? [value] : { k: value })
  })
}

/** Whether something stands there by a name, such as `*a`, which nothing has. */
function hasAlias(document: Document): boolean {
  let found = false
  visit(document, { Alias: () => ((found = true), visit.BREAK) })
  return found
}

function quoted(value: string): string {
  // JSON's escapes are YAML's, but JSON leaves alone what YAML takes for a line break or does not print.
  return JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
