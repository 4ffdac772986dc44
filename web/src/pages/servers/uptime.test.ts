import { expect, test } from 'vitest'

import { duration } from './uptime'

test.each([
  [-5, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [119_000, '1 min'],
  [3600_000 * 4 + 60_000 * 5, '4 h 5 min'],
  [86_400_000 * 3 + 3600_000 * 4, '3 d 4 h'],
  [86_400_000 * 3 + 60_000 * 59, '3 d'],
])('%i ms are %s', (milliseconds, words) => {
  expect(duration(milliseconds)).toBe(words)
})
