/** A text that is not saved yet as the console keeps it, with what the form keeps for it: pure. */
import type { Ports } from './editing.svelte'

export interface Kept {
  readonly text: string
  /** The ports that direct attach took out of the text; null for none. */
  readonly parked: Ports | null
}

export function keptText(kept: Kept): string {
  return JSON.stringify(kept)
}

export function keptOf(words: string): Kept {
  return JSON.parse(words) as Kept
}
