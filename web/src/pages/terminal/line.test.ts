import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import type { Api } from '../../api/client'
import { texts } from '../../texts'
import { Line } from './line'
import type { Standing } from './line'

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
  closes(code = 1000, reason = ''): void {
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
  private watch = new Socket('')
  readonly line: Line
  readonly stop = new AbortController()

  constructor(...first: object[]) {
    const api = {
      get: () => Promise.resolve({ items: first, metadata: { resourceVersion: '1' } }),
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

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds)
beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

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
