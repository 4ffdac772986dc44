/** The time of tests: it passes when they let it pass, and what is tried again is so after a pause that is the same in every run. */

import { afterEach, beforeEach, vi } from 'vitest'

/** Let so much time pass. */
export const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds)

/** Have each test of a file begin with a clock of its own, by which every pause is the longest that it may be. */
export function timed(): void {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.spyOn(Math, 'random').mockReturnValue(1)
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })
}
