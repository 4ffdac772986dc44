/** A text that is not saved yet as the console keeps it, with what the form keeps for it: pure. */
import type { Origin } from './asking'
import type { Ports } from './editing.svelte'

/** What the server said on which the text goes on. */
export type Base = Pick<Origin, 'version' | 'value'>

export interface Kept {
  readonly text: string
  /** The ports that direct attach took out of the text; null for none. */
  readonly parked: Ports | null
  /** Null, or not there, where no server is edited. */
  readonly base?: Base | null
}

/** Characters of one text that the console keeps (`LARGEST` in console/drafts.py). */
const LARGEST = 1 << 20

export function keptText({ text, parked, base }: Kept): string {
  if (!base) return JSON.stringify({ text, parked })
  const { version, value } = base
  const words = JSON.stringify({ text, parked, base: { version, value } })
  // Without the value the version still tells that something has changed: what differs from the text is shown then, as a whole.
  return words.length <= LARGEST ? words : JSON.stringify({ text, parked, base: { version, value: {} } })
}

export function keptOf(words: string): Kept {
  return JSON.parse(words) as Kept
}
