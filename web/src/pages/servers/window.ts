/** Which of very many lines are drawn: those that are seen, and some around them. Pure. */

export interface Visible {
  readonly first: number
  /** One more than the last. */
  readonly end: number
  /** The height of what is not drawn, before and behind. */
  readonly before: number
  readonly behind: number
}

export interface Extent {
  readonly count: number
  /** Of a line. */
  readonly height: number
  /** What lines that are open have beside their own height, by their number. */
  readonly more: ReadonlyMap<number, number>
  /** What is seen: from here, counted from the first line's top, */
  readonly top: number
  /** so far. */
  readonly seen: number
}

/** So many lines are drawn beyond what is seen, so that a quick scroll meets no gap. */
const AROUND = 8

export function visible({ count, height, more, top, seen }: Extent): Visible {
  const opened = [...more].filter(([line]) => line < count).sort(([one], [other]) => one - other)
  const at = (line: number) => line * height + opened.reduce((sum, [one, extra]) => (one < line ? sum + extra : sum), 0)
  const lineAt = (offset: number) => {
    let [low, high] = [0, count]
    while (low < high) {
      const middle = (low + high) >> 1
      if (at(middle + 1) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
  const first = Math.max(0, Math.min(lineAt(top), count) - AROUND)
  const end = Math.min(count, lineAt(top + seen) + 1 + AROUND)
  return { first, end, before: at(first), behind: at(count) - at(end) }
}
