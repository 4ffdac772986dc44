import { expect, test } from 'vitest'

import { ApiError } from './client'
import type { Api, Manifest } from './client'
import { follow } from './follow'
import type { State } from './follow'
import { pass, timed } from '../timed'

const PATH = '/apis/x/servers'

class FakeSocket {
  onopen: () => void = () => undefined
  onmessage: (message: { data: string }) => void = () => undefined
  onclose: (closed: { code: number; reason: string }) => void = () => undefined
  constructor(readonly path: string) {}
  close(): void {
    this.ends(1000)
  }
  says(type: string, object: object): void {
    this.onmessage({ data: JSON.stringify({ type, object }) })
  }
  ends(code: number): void {
    this.onclose({ code, reason: '' })
  }
}

/** An API whose answers a test gives, and what a follower was told. */
class World {
  readonly sockets: FakeSocket[] = []
  readonly asked: string[] = []
  readonly told: string[] = []
  answers: (object | ApiError)[] = []
  readonly stop = new AbortController()
  ended: Promise<void>

  constructor(...answers: (object | ApiError)[]) {
    this.answers = answers
    const api = {
      get: (path: string) => {
        this.asked.push(path)
        const answer = this.answers.shift() ?? listed('9')
        return answer instanceof ApiError ? Promise.reject(answer) : Promise.resolve(answer)
      },
      socket: (path: string) => {
        const socket = new FakeSocket(path)
        this.sockets.push(socket)
        return socket
      },
    } as unknown as Api
    const named = (objects: readonly Manifest[]) => objects.map((one) => one.metadata.name).join(' ')
    const follower = {
      all: (objects: readonly Manifest[]) => void this.told.push(`all ${named(objects)}`),
      put: (object: Manifest) => void this.told.push(`put ${object.metadata.name}`),
      gone: (object: Manifest) => void this.told.push(`gone ${object.metadata.name}`),
      state: (state: State) => void this.told.push('error' in state ? `${state.is} ${state.error.status}` : state.is),
    }
    this.ended = follow(api, PATH, follower, this.stop.signal)
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1) as FakeSocket
  }
}

function listed(resourceVersion: string, names: readonly string[] = [], more = ''): object {
  return { items: names.map(object), metadata: { resourceVersion, ...(more ? { continue: more } : {}) } }
}

function object(name: string): object {
  return { metadata: { name, uid: name, resourceVersion: '7' } }
}

timed()

test('what is there is listed page by page, and watched from there', async () => {
  const world = new World(listed('5', ['a'], 'next&page'), listed('5', ['b']))
  await pass(0)
  expect(world.asked).toEqual([`${PATH}?limit=500`, `${PATH}?limit=500&continue=next%26page`])
  world.socket.onopen()
  world.socket.says('ADDED', object('c'))
  world.socket.says('MODIFIED', object('a'))
  world.socket.says('DELETED', object('b'))
  world.socket.says('BOOKMARK', { metadata: { resourceVersion: '8' } })
  expect(world.told).toEqual(['listing', 'all a b', 'live', 'put c', 'put a', 'gone b'])
  expect(world.socket.path).toContain('resourceVersion=5')
})

test('a watch that ends goes on from what was said last, without a new list', async () => {
  const world = new World(listed('5'))
  await pass(0)
  world.socket.says('BOOKMARK', { metadata: { resourceVersion: '8' } })
  world.socket.ends(1000)
  await pass(600)
  expect(world.sockets.map((one) => /resourceVersion=\d+/.exec(one.path)?.[0])).toEqual(['resourceVersion=5', 'resourceVersion=8'])
  expect(world.asked).toHaveLength(1)
})

test('where the past is gone, all is listed anew, so that deletions are seen', async () => {
  const world = new World(listed('5', ['a', 'b']), listed('20', ['b']))
  await pass(0)
  world.socket.says('ERROR', { code: 410, message: 'too old' })
  await pass(1000)
  expect(world.told).toEqual(['listing', 'all a b', 'listing', 'all b'])
})

test('an API that is away is tried again, later each time, and told as away', async () => {
  const world = new World(...Array.from({ length: 4 }, () => new ApiError('gone', 503)))
  await pass(0)
  const after: number[] = []
  for (let second = 1; second <= 12; second += 1) {
    await pass(1000)
    after.push(world.asked.length)
  }
  expect(world.told.slice(0, 2)).toEqual(['listing', 'away 503'])
  expect(after[0]).toBe(2)
  expect(after.at(-1)).toBe(5)
  expect(world.sockets).toHaveLength(1)
})

test('who may not is told so, and nothing is tried again', async () => {
  const world = new World(new ApiError('you may not', 403))
  await world.ended
  expect(world.told).toEqual(['listing', 'refused 403'])
})

test('a watch that is refused says so by its code', async () => {
  const world = new World(listed('5'))
  await pass(0)
  world.socket.ends(4403)
  await world.ended
  expect(world.told.at(-1)).toBe('refused 403')
})

test('a watch that cannot be opened any more, since the sign-in is over, is found out by one request, and that is the end', async () => {
  const world = new World(listed('5'), new ApiError('nobody is signed in', 401))
  await pass(0)
  world.socket.onopen()
  world.socket.ends(1001)
  await pass(1000)
  expect(world.sockets).toHaveLength(2)
  world.socket.ends(1006)
  await world.ended
  await pass(60_000)
  expect(world.asked).toEqual([`${PATH}?limit=500`, `${PATH}?limit=1`])
  expect(world.told).toEqual(['listing', 'all ', 'live', 'away 0', 'refused 401'])
  expect(world.sockets).toHaveLength(2)
})

test('where requests are answered and only watches do not open, it is tried again, with one request for each, later each time', async () => {
  const world = new World(listed('5', ['a']))
  let ended: FakeSocket | null = null
  for (let second = 0; second < 60; second += 1) {
    await pass(1000)
    if (world.socket !== ended) (ended = world.socket).ends(1006)
  }
  expect(world.asked.slice(1).every((path) => path === `${PATH}?limit=1`)).toBe(true)
  expect(world.asked).toHaveLength(world.sockets.length + 1)
  expect(world.sockets.length).toBeLessThan(12)
  expect(world.told.at(-1)).toBe('away 0')
})

test('an end that was told is no riddle: nothing more is asked', async () => {
  const world = new World(listed('5'))
  await pass(0)
  world.socket.ends(4503)
  await pass(0)
  expect([world.told.at(-1), world.asked.length]).toEqual(['away 503', 1])
})

test('who stops hears nothing more', async () => {
  const world = new World(listed('5'))
  await pass(0)
  world.stop.abort()
  await world.ended
  await pass(60_000)
  expect(world.sockets).toHaveLength(1)
})
