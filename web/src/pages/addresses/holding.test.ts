import { expect, test } from 'vitest'

import type { Service } from '../../api/service'
import type { VirtualServer } from '../../api/virtualserver'
import { floatingService, holdings } from './holding'

function metadata(name: string, more: object = {}): Service['metadata'] {
  return { name, namespace: 'shop', uid: name, resourceVersion: '1', creationTimestamp: '', ...more }
}

const OWNED = { ownerReferences: [{ kind: 'VirtualServer', name: 'web', uid: 'u', controller: true }] }

test('an address says whose it is, and which servers have it', () => {
  const services: Service[] = [
    { metadata: metadata('web-tcp', OWNED), spec: { type: 'LoadBalancer', selector: { a: 'b' }, ports: [{ port: 22 }] }, status: { loadBalancer: { ingress: [{ ip: '203.0.113.4' }] } } },
    { metadata: metadata('mine', { annotations: { 'metallb.io/address-pool': 'public' } }), spec: { type: 'LoadBalancer' }, status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } },
    { metadata: metadata('inside'), spec: { type: 'ClusterIP' } },
  ]
  const servers = [{ metadata: metadata('db'), status: { network: { floatingIPs: { mine: '203.0.113.9' } } } }] as unknown as VirtualServer[]
  expect(holdings(services, servers).map(({ service, kind, addresses, users, pool, ports }) => [service, kind, addresses, users, pool, ports])).toEqual([
    ['mine', 'floating', ['203.0.113.9'], ['db'], 'public', ''],
    ['web-tcp', 'server', ['203.0.113.4'], ['web'], '', '22/TCP'],
  ])
})

test('where there is no address yet, the reason is there', () => {
  const conditions = [{ type: 'virtualservers.coreweave.com/AddressAssigned', status: 'False' as const, reason: 'PoolExhausted', message: 'the pool public has no free address' }]
  const [found] = holdings([{ metadata: metadata('mine'), spec: { type: 'LoadBalancer' }, status: { conditions } }], [])
  expect(found?.waits).toBe('PoolExhausted: the pool public has no free address')
})

test('a server of another namespace does not have an address because its Service has the name', () => {
  const servers = [{ metadata: { ...metadata('db'), namespace: 'other' }, status: { network: { floatingIPs: { mine: '203.0.113.9' } } } }] as unknown as VirtualServer[]
  expect(holdings([{ metadata: metadata('mine'), spec: { type: 'LoadBalancer' } }], servers)[0]?.users).toEqual([])
})

test('a Service that keeps an address selects nothing', () => {
  const made = floatingService('shop', 'mine', 'public') as Service
  expect(holdings([{ ...made, metadata: metadata('mine', { annotations: made.metadata.annotations }) }], [])[0]).toMatchObject({ kind: 'floating', pool: 'public' })
})
