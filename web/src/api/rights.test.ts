import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { ApiError } from './client'
import type { Api } from './client'
import { Rights } from './rights'

/** What the API says of one right, one time after the other; the last one for ever. */
function asking(...answers: readonly (boolean | ApiError)[]) {
  let asked = 0
  const send = () => {
    const allowed = answers[Math.min(asked++, answers.length - 1)]
    return allowed instanceof ApiError ? Promise.reject(allowed) : Promise.resolve(Response.json({ status: { allowed } }))
  }
  const rights = new Rights({ send } as unknown as Api)
  /** What a page shows after so many ms, and how often the API was asked by then. */
  const after = async (milliseconds: number) => {
    rights.may('delete', 'shop')
    await vi.advanceTimersByTimeAsync(milliseconds)
    return [rights.may('delete', 'shop'), asked]
  }
  return after
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('what is allowed is asked once', async () => {
  const after = asking(true)
  expect(await after(0)).toEqual([true, 1])
  expect(await after(60_000)).toEqual([true, 1])
})

test('what was denied is asked again after a while, and not before', async () => {
  const after = asking(false, true)
  expect(await after(0)).toEqual([false, 1])
  expect(await after(10_000)).toEqual([false, 1])
  expect(await after(5000)).toEqual([false, 2])
  expect(await after(0)).toEqual([true, 2])
})

test('where nobody answered the API is asked again soon', async () => {
  const after = asking(new ApiError('away', 503), true)
  expect(await after(0)).toEqual([false, 1])
  await after(3000)
  expect(await after(0)).toEqual([true, 2])
})

test('each right is asked of its kind, in its namespace, once', async () => {
  const asked: unknown[] = []
  const send = (_method: string, _path: string, body: string) => {
    asked.push((JSON.parse(body) as { spec: { resourceAttributes: unknown } }).spec.resourceAttributes)
    return Promise.resolve(Response.json({ status: { allowed: true } }))
  }
  const rights = new Rights({ send } as unknown as Api)
  for (const namespace of ['shop', 'other', 'other']) rights.may('release', namespace)
  rights.may('reserve', 'shop')
  await vi.advanceTimersByTimeAsync(0)
  expect(asked).toEqual([
    { group: '', resource: 'services', verb: 'delete', namespace: 'shop' },
    { group: '', resource: 'services', verb: 'delete', namespace: 'other' },
    { group: '', resource: 'services', verb: 'create', namespace: 'shop' },
  ])
})
