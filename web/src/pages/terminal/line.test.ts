import { expect, test } from 'vitest'

import { ApiError } from '../../api/client'
import type { Api } from '../../api/client'
import { texts } from '../../texts'
import { Line } from './line'
import type { Standing } from './line'
import { pass, timed } from '../../timed'

class Socket extends EventTarget {
  binaryType = ''
  onopen: () => void = () => undefined
  onmessage: (message: { data: string }) => void = () => undefined
  onclose: (closed: { code: number; reason: string }) => void = () => undefined
  constructor(readonly path: string) {
    super()
  }
  close = () => undefined
  opens(): void {
    this.dispatchEvent(new Event('open'))
  }
  hasEnded = false
  closes(code = 1000, reason = ''): void {
    this.hasEnded = true
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason }))
  }
}

function instance(uid: string, phase: string): object {
  return { metadata: { name: 'web', uid, resourceVersion: '1' }, status: { phase } }
}

/** A guest that a test starts and stops, and the line to it. */
class World {
  readonly consoles: Socket[] = []
  readonly stood: Standing[] = []
  watch = new Socket('')
  readonly line: Line
  readonly stop = new AbortController()

  /** What the API refuses to list anything with; null for nothing. */
  refusal: ApiError | null = null

  constructor(...first: object[]) {
    const api = {
      get: () => (this.refusal ? Promise.reject(this.refusal) : Promise.resolve({ items: first, metadata: { resourceVersion: '1' } })),
      socket: (path: string) => {
        const socket = new Socket(path)
        if (path.includes('watch=')) this.watch = socket
        else this.consoles.push(socket)
        return socket
      },
    } as unknown as Api
    this.line = new Line(api, { namespace: 'shop', name: 'web', screen: 'serial' }, () => undefined, (standing) => this.stood.push(standing))
    void this.line.run(this.stop.signal)
  }

  becomes(uid: string, phase: string): void {
    this.watch.onmessage({ data: JSON.stringify({ type: 'MODIFIED', object: instance(uid, phase) }) })
  }

  goes(uid: string): void {
    this.watch.onmessage({ data: JSON.stringify({ type: 'DELETED', object: instance(uid, '') }) })
  }

  get now(): Standing | undefined {
    return this.stood.at(-1)
  }
}

timed()

test('it waits until there is a guest, and says for what', async () => {
  const world = new World()
  await pass(0)
  expect(world.now).toEqual({ is: 'waiting', why: texts.terminal.waits('web', '') })
  world.becomes('1', 'Scheduling')
  expect(world.now?.why).toBe(texts.terminal.waits('web', 'Scheduling'))
  expect(world.consoles).toHaveLength(0)
  world.becomes('1', 'Running')
  expect(world.consoles).toHaveLength(1)
  world.consoles[0]?.opens()
  expect(world.now?.is).toBe('open')
  expect(world.consoles[0]?.path).toBe('/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachineinstances/web/console')
})

test('after a restart it connects again by itself', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.opens()
  world.consoles[0]?.closes()
  world.goes('1')
  expect(world.now?.is).toBe('waiting')
  world.becomes('2', 'Scheduling')
  world.becomes('2', 'Running')
  expect(world.consoles).toHaveLength(2)
})

test('a new guest that is there before the old one’s console has closed is not missed', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.opens()
  world.becomes('2', 'Running')
  world.consoles[0]?.closes()
  await pass(10_000)
  expect(world.consoles).toHaveLength(2)
})

test('a guest that was seen to go before its console closed is waited for', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.opens()
  world.goes('1')
  world.consoles[0]?.closes()
  await pass(10_000)
  expect(world.now).toEqual({ is: 'waiting', why: texts.terminal.waits('web', '') })
  world.becomes('2', 'Running')
  expect(world.consoles).toHaveLength(2)
})

test('who loses it to another does not take it back by itself, but may', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.opens()
  world.consoles[0]?.closes()
  world.becomes('1', 'Running')
  await pass(10_000)
  expect(world.consoles).toHaveLength(1)
  expect(world.now).toEqual({ is: 'taken', why: texts.terminal.taken })
  world.line.again()
  expect(world.consoles).toHaveLength(2)
})

test('who may not is told so', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.closes(4403)
  await pass(10_000)
  expect(world.now).toEqual({ is: 'refused', why: texts.mayNot })
})

test('who comes too late for it, since another was quicker, does not take it from them by itself', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.closes(4409)
  await pass(60_000)
  expect(world.consoles).toHaveLength(1)
  expect(world.now?.is).toBe('taken')
})

test('of two windows one has it in the end, and neither takes it back by itself', async () => {
  const [one, other] = [new World(instance('1', 'Running')), new World(instance('1', 'Running'))]
  await pass(0)
  one.consoles[0]?.opens()
  one.consoles[0]?.closes(1001)
  other.consoles[0]?.opens()
  await pass(2000)
  // The one tries again, and takes it from the other.
  one.consoles[1]?.opens()
  other.consoles[0]?.closes(1000)
  await pass(60_000)
  expect([one.consoles.length, other.consoles.length]).toEqual([2, 1])
  expect([one.now?.is, other.now?.is]).toEqual(['open', 'taken'])
})

test('a console that cannot be opened now is tried again, with the reason that was told, later each time', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.closes(4429, '64 windows and lists are open already: close some')
  expect(world.now).toEqual({ is: 'waiting', why: texts.terminal.broken('64 windows and lists are open already: close some') })
  world.becomes('1', 'Running')
  expect(world.consoles).toHaveLength(1)
  for (let second = 0; second < 60; second += 1) {
    await pass(1000)
    for (const socket of world.consoles.filter((one) => !one.hasEnded)) {
      socket.opens() // to say how it is refused
      socket.closes(4503)
    }
  }
  expect(world.now?.why).toContain('HTTP 503')
  expect(world.consoles.length).toBeGreaterThan(4)
  expect(world.consoles.length).toBeLessThan(11)
  // As soon as the guest has said something, a fault is the first one again.
  await pass(20_000)
  world.consoles.at(-1)?.dispatchEvent(new Event('message'))
  world.consoles.at(-1)?.closes(1006)
  const tried = world.consoles.length
  await pass(1500)
  expect(world.consoles).toHaveLength(tried + 1)
})

test('a line that breaks off is taken up again, and is no taking', async () => {
  for (const code of [1001, 1006]) {
    const world = new World(instance('1', 'Running'))
    await pass(0)
    world.consoles[0]?.opens()
    world.consoles[0]?.closes(code)
    expect(world.now).toEqual({ is: 'waiting', why: texts.terminal.broken('') })
    await pass(2000)
    expect(world.consoles).toHaveLength(2)
    world.consoles[1]?.opens()
    await pass(60_000)
    expect([world.now?.is, world.consoles.length]).toEqual(['open', 2])
  }
})

test('another guest is not waited for, though the former one’s console was to be tried again', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.closes(1006)
  world.becomes('2', 'Running')
  expect(world.consoles).toHaveLength(2)
})

test('once nobody is signed in any more, nothing is tried', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.watch.onopen()
  world.consoles[0]?.opens()
  world.refusal = new ApiError('nobody is signed in', 401)
  world.watch.onclose({ code: 1001, reason: '' })
  world.consoles[0]?.closes(1001)
  await pass(700)
  world.watch.onclose({ code: 1006, reason: '' })
  await pass(60_000)
  expect(world.now).toEqual({ is: 'refused', why: 'nobody is signed in' })
  expect(world.consoles).toHaveLength(1)
})

test('a window that is left opens nothing more', async () => {
  const world = new World(instance('1', 'Running'))
  await pass(0)
  world.consoles[0]?.opens()
  world.stop.abort()
  world.consoles[0]?.closes(1005)
  await pass(60_000)
  expect(world.consoles).toHaveLength(1)
})

test('an API that was away hides neither who has the console nor what is waited for', async () => {
  const taken = new World(instance('1', 'Running'))
  const waiting = new World()
  await pass(0)
  taken.consoles[0]?.opens()
  taken.consoles[0]?.closes()
  await pass(5000)
  for (const world of [taken, waiting]) {
    world.watch.onopen()
    world.watch.onclose({ code: 1001, reason: '' })
  }
  await pass(0)
  expect([taken.now?.is, waiting.now?.why]).toEqual(['taken', texts.away('')])
  await pass(1000)
  waiting.watch.onopen()
  expect(waiting.now?.why).toBe(texts.terminal.waits('web', ''))
})
