/** Changes of a text, as the editor takes them too: offsets are those of the text before any of them. */
export interface Change {
  readonly from: number
  readonly to: number
  readonly insert: string
}

/** The text after changes that do not overlap. */
export function apply(text: string, changes: readonly Change[]): string {
  let result = ''
  let done = 0
  for (const change of [...changes].sort((a, b) => a.from - b.from || a.to - b.to)) {
    result += text.slice(done, change.from) + change.insert
    done = change.to
  }
  return result + text.slice(done)
}
