import { expect, test } from 'vitest'

import type { Manifest } from '../../api/client'
import { parse, read } from '../../draft'
import type { Path } from '../../draft'
import { isClosed, waits } from './remarks'

function closed(spec: string): boolean {
  const draft = parse(`spec: ${spec}\n`)
  return isClosed({ at: (path: Path) => read(draft, path) })
}

test('a server without a user who has a key or a password lets nobody in', () => {
  expect(closed('{}')).toBe(true)
  expect(closed('{users: []}')).toBe(true)
  expect(closed('{users: [{username: ann}]}')).toBe(true)
  expect(closed('{users: [{username: ann}, {username: bob, sshpublickey: ssh-ed25519 A}]}')).toBe(false)
  expect(closed('{users: [{username: ann, passwordSecretRef: {name: a, key: b}}]}')).toBe(false)
  expect(closed('{cloudInit: "users: [default]"}')).toBe(false)
})

const ANNOTATIONS = { 'metallb.io/address-pool': 'public' }
const PLANNED = [{ kind: 'Service', metadata: { name: 'web-tcp', annotations: ANNOTATIONS }, spec: { type: 'LoadBalancer' } }] as unknown as Manifest[]

function waiting(status: object, planned = PLANNED, service: object | null = null): Promise<string[]> {
  const items = [{ metadata: { name: 'public' }, status }, { metadata: { name: 'private' }, status: { free: 0 } }]
  return waits({ get: () => Promise.resolve({ items } as never), find: () => Promise.resolve(service as never) }, 'shop', planned)
}

test('a planned Service waits where its pool has no address, or its namespace may have no more', async () => {
  expect(await waiting({ free: 1 })).toEqual([])
  expect(await waiting({ free: 0 })).toEqual([expect.stringContaining('The pool public has no free address')])
  expect(await waiting({ free: 0, host: true })).toEqual([])
  expect(await waiting({ free: 4, own: 2, quota: 2 })).toEqual([expect.stringContaining('all 2 addresses')])
  expect(await waiting({ free: 0 }, [])).toEqual([])
})

test('a Service that has its address waits for none', async () => {
  const service = { metadata: { annotations: ANNOTATIONS }, status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } }
  expect(await waiting({ free: 0 }, PLANNED, service)).toEqual([])
  expect(await waiting({ free: 0 }, PLANNED, { ...service, metadata: {} })).toHaveLength(1)
})
