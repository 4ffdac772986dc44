/** Where lines begin and end. */

/** What may stand before a comma, for a pattern: space, and whole comments, which may have commas themselves. */
export const BEFORE_COMMA = String.raw`(?:\s|(?<=\s)#[^\n]*\n)*`

/** How the text ends its lines. */
export function lineBreak(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n'
}

/** The offset at which the line of an offset begins. */
export function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1
}

/** The offset of the line break that ends the line of an offset, or the text's end. */
export function lineEnd(text: string, at: number): number {
  const found = text.indexOf('\n', at)
  if (found < 0) return text.length
  return text[found - 1] === '\r' ? found - 1 : found
}

/** The offset at which the next line begins, or the text's end. */
export function nextLine(text: string, at: number): number {
  const found = text.indexOf('\n', at)
  return found < 0 ? text.length : found + 1
}

/** The column of a comment that is the next line with anything on it; -1 where something else is, or nothing. */
export function commentBehind(text: string, at: number): number {
  const found = /^(?:[ \t]*\r?\n)*([ \t]*)#/.exec(text.slice(nextLine(text, at)))
  return found?.[1]?.length ?? -1
}

export function column(text: string, at: number): number {
  return at - lineStart(text, at)
}
