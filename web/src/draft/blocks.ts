/** Blocks of text (`|`, `>`), and the lines behind them that would become part of one. */
import { visit } from 'yaml'
import type { Scalar } from 'yaml'

import type { Change } from './change'
import type { Draft } from './draft'
import { lineEnd, nextLine } from './lines'

/** A comment or a blank line: what is before it, and the comment. */
const ASIDE = /^([ \t]*)(#.*)?$/

/**
 * What must be done beside a change that takes whole lines out, so that a block of text above them stays what it is:
 * comments that are as deep as its text go to the column of what is taken out, and blank lines that it would keep go.
 */
export function keptApart(draft: Draft, { from, to, insert }: Change): Change[] {
  const { text } = draft
  const isLines = !insert && (from === 0 || text[from - 1] === '\n') && (to === text.length || text[to - 1] === '\n')
  const block = isLines ? blockAbove(draft, from) : null
  if (!block) return []
  const column = indentOf(text.slice(from, to)).length
  const indent = block.indent ?? column + 1
  const changes: Change[] = []
  let isWithin = true
  for (let at = to; at < text.length; at = nextLine(text, at)) {
    const [line, space = '', comment] = ASIDE.exec(text.slice(at, lineEnd(text, at))) ?? []
    if (line === undefined) break
    const isText = isWithin && (space.includes('\t') || (comment ? space.length >= indent : block.keepsEnd || space.length > indent))
    if (!comment) {
      if (isText) changes.push({ from: at, to: nextLine(text, at), insert: '' })
      continue
    }
    // The first comment that is no text ends the block; those below one that is moved stay in line with it.
    if (isWithin && !isText) break
    isWithin = false
    if (space.length <= column) break
    changes.push({ from: at, to: at + space.length, insert: ' '.repeat(column) })
  }
  return changes
}

interface Block {
  /** The column of its text; undefined where it has none. */
  readonly indent: number | undefined
  /** Whether blank lines behind it are its own. */
  readonly keepsEnd: boolean
}

/** The block of text that ends where a line begins, but for blank lines. */
function blockAbove(draft: Draft, at: number): Block | null {
  const { text } = draft
  let found: Scalar.Parsed | undefined
  visit(draft.document, {
    Scalar(_, node) {
      const isBlock = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED'
      if (isBlock && node.range && node.range[1] <= at) found = node as Scalar.Parsed
    },
  })
  if (!found || text.slice(found.range[1], at).trim() !== '') return null
  const source = text.slice(found.range[0], found.range[1])
  const head = source.slice(0, nextLine(source, 0))
  return { indent: indentOfText(source.slice(head.length), String(found.value)), keepsEnd: /^[|>][0-9]*\+/.test(head) }
}

/** The column of a block's text: where its first line begins, less what that line has of spaces itself. */
function indentOfText(written: string, meant: string): number | undefined {
  const first = (lines: string) => lines.split('\n').find((line) => line.trim() !== '')
  const [line, own] = [first(written), first(meant)]
  return line === undefined || own === undefined ? undefined : indentOf(line).length - indentOf(own).length
}

function indentOf(line: string): string {
  return /^ */.exec(line)?.[0] ?? ''
}
