/** How long something has been so, in the two largest units: pure. */
const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const

/** A time in words, such as `3 d 4 h`; for less than a minute seconds alone. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const first = UNITS.findIndex(([, size]) => seconds >= size)
  const [word, size] = UNITS[first] ?? ['s', 1]
  const [lesser, smaller] = UNITS[first + 1] ?? ['', 0]
  const rest = smaller > 1 ? Math.floor((seconds % size) / smaller) : 0
  return `${Math.floor(seconds / size)} ${word}${rest ? ` ${rest} ${lesser}` : ''}`
}
