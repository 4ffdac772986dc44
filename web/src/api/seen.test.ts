import { expect, test } from 'vitest'

import { ApiError } from './client'
import type { Api } from './client'
import type { State } from './follow'
import { followSeen } from './seen'
import { pass, timed } from '../timed'

timed()

test('who may not list yet, even the own ones, sees them as soon as it is allowed', async () => {
  const asked: string[] = []
  const told: string[] = []
  let isAllowed = false
  const get = (path: string) => {
    asked.push(path)
    const isSeen = isAllowed && path.startsWith('/own')
    return isSeen ? Promise.resolve({ items: [], metadata: { resourceVersion: '1' } }) : Promise.reject(new ApiError('no', 403))
  }
  const api = { get, socket: () => ({ close: () => undefined }) } as unknown as Api
  const follower = { all: () => told.push('all'), put: () => undefined, gone: () => undefined, state: (state: State) => told.push(state.is) }
  const stop = new AbortController()
  void followSeen(api, { all: '/all', own: '/own' }, follower, stop.signal, () => told.push('narrow'))
  await pass(16_000)
  expect(told).toEqual(['listing', 'narrow', 'listing', 'refused', 'refused'])
  isAllowed = true
  await pass(15_000)
  expect(told.slice(5)).toEqual(['all'])
  expect(asked.map((path) => path.split('?')[0])).toEqual(['/all', '/own', '/own', '/own'])
  stop.abort()
})

test('nobody asks again once the page is left', async () => {
  let asked = 0
  const get = () => {
    asked += 1
    return Promise.reject(new ApiError('no', 403))
  }
  const follower = { all: () => undefined, put: () => undefined, gone: () => undefined, state: () => undefined }
  const stop = new AbortController()
  const ended = followSeen({ get } as unknown as Api, { all: '/all', own: '/own' }, follower, stop.signal)
  await pass(0)
  stop.abort()
  await ended
  expect(asked).toBe(2)
})
