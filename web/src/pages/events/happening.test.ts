import { expect, test } from 'vitest'

import { happeningOf, latest } from './happening'

const metadata = { name: 'e', namespace: 'shop', uid: '1', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }

test('an event says of what it is, and when it was last', () => {
  const event = { metadata, involvedObject: { kind: 'VirtualServer', name: 'web' }, reason: 'PoolExhausted', message: 'none', type: 'Warning', count: 3 }
  expect(happeningOf({ ...event, lastTimestamp: null, eventTime: '2026-01-02T03:04:05.678901Z' })).toMatchObject({
    time: '2026-01-02 03:04:05',
    about: 'VirtualServer web',
    count: 3,
    isWarning: true,
    words: 'shop virtualserver web poolexhausted none',
  })
})

test('the latest is the first', () => {
  const at = (time: string) => happeningOf({ metadata, lastTimestamp: time })
  expect(latest([at('2026-01-01T00:00:00Z'), at('2026-01-03T00:00:00Z'), at('2026-01-02T00:00:00Z')]).map((one) => one.time.slice(0, 10))).toEqual([
    '2026-01-03',
    '2026-01-02',
    '2026-01-01',
  ])
})
