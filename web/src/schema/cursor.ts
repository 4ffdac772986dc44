/** Where a cursor is in a manifest that is being typed, and so need not be YAML yet: by lines and indentation. Pure. */

export interface Cursor {
  /** The mapping that the cursor's line is in. */
  readonly path: readonly (string | number)[]
  /** The key on the line, where the cursor is behind its colon; null where a key is being typed. */
  readonly key: string | null
  /** The offset at which the word begins that is being typed. */
  readonly from: number
}

const LINE = /^([ ]*(?:- +)*)([^\s#:"'{}[\]&*!|>-][^:#]*)?(:(?:\s|$))?/

/** Where the cursor is; null where nothing can be said of it, as in a comment or within brackets. */
export function cursorAt(text: string, at: number): Cursor | null {
  const start = text.lastIndexOf('\n', at - 1) + 1
  const line = text.slice(start, at)
  const [, lead = '', key, colon] = LINE.exec(line) ?? []
  const rest = line.slice(lead.length)
  if (/[#[{"'|>]/.test(rest)) return null
  const path = pathAbove(text.slice(0, start), lead)
  if (colon && key) return { path, key: key.trim(), from: start + line.search(/\S*$/) }
  return /^\S*$/.test(rest) ? { path, key: null, from: start + lead.length } : null
}

/** The keys and indexes that lead to a line with this lead, by the lines above it. */
function pathAbove(above: string, lead: string): (string | number)[] {
  const path: (string | number)[] = []
  // The innermost dash of its own line begins an item whose list is named above.
  let column = lead.length
  let dash = lead.lastIndexOf('-')
  const lines = above.split('\n').slice(0, -1)
  for (let number = lines.length - 1; number >= 0 && (column > 0 || dash >= 0); number -= 1) {
    const line = (lines[number] ?? '').replace(/\r$/, '')
    if (/^\s*(?:#.*)?$/.test(line)) continue
    const [, above = '', key] = LINE.exec(line) ?? []
    if (dash >= 0) {
      // Up to the key that has the list: one that is no item of it, at most as far in as its dashes.
      if (above.lastIndexOf('-') === dash || above.length > dash) continue
      path.unshift(key?.trim() ?? '', 0)
      column = above.length
      dash = above.lastIndexOf('-')
    } else if (above.length < column) {
      path.unshift(key?.trim() ?? '')
      column = above.length
      dash = above.lastIndexOf('-')
    } else if (above.length === column && above.includes('-')) {
      dash = above.lastIndexOf('-')
      column = dash
    }
  }
  return path
}
