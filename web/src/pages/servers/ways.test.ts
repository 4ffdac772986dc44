import { expect, test } from 'vitest'

import type { Service } from '../../api/service'
import type { VirtualServer } from '../../api/virtualserver'
import { waysOf } from './ways'

function aServer(network: object = {}, floatingIPs: Record<string, string> = {}): VirtualServer {
  const metadata = { name: 'web', namespace: 'shop', uid: '1', resourceVersion: '1', creationTimestamp: '' }
  return { metadata, spec: { network }, status: { network: { floatingIPs } } } as VirtualServer
}

function aService(name: string, more: Partial<Service> = {}, owner = '1'): Service {
  const ownerReferences = owner ? [{ kind: 'VirtualServer', name: 'web', uid: owner, controller: true }] : []
  return {
    metadata: { name, namespace: 'shop', uid: name, resourceVersion: '1', creationTimestamp: '', ownerReferences },
    spec: { type: 'LoadBalancer', ports: [{ port: 22 }, { port: 53, protocol: 'UDP' }] },
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.4' }] } },
    ...more,
  }
}

test('each address leads by its ports to the guest, from whom it may', () => {
  const service = aService('web-tcp', { spec: { type: 'LoadBalancer', ports: [{ port: 22 }, { port: 53, protocol: 'UDP' }], loadBalancerSourceRanges: ['192.0.2.0/24'] } })
  expect(waysOf(aServer(), [service, aService('other-tcp', {}, '2')])).toEqual({
    inwards: [{ service: 'web-tcp', address: '203.0.113.4', ports: ['22/TCP', '53/UDP'], from: ['192.0.2.0/24'], trouble: '' }],
    names: ['web-tcp.shop.svc.cluster.local'],
    vpcs: [],
    isOnCluster: true,
  })
})

test('with direct attach, and by a floating address, every port leads on', () => {
  expect(waysOf(aServer({ directAttachLoadBalancerIP: true }), [aService('web-tcp')]).inwards[0]?.ports).toEqual([])
  const [way] = waysOf(aServer({}, { mine: '203.0.113.9' }), [aService('mine', { status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } }, '')]).inwards
  expect(way).toMatchObject({ service: 'mine', address: '203.0.113.9', ports: [] })
})

test('where nothing comes, the reason is there, and where there is no address yet, too', () => {
  const conditions = [{ type: 'virtualservers.coreweave.com/AddressAssigned', status: 'False' as const, reason: 'PoolExhausted', message: 'the pool public has no free address' }]
  expect(waysOf(aServer(), [aService('web-tcp', { status: { conditions } })]).inwards[0]).toMatchObject({ address: '', trouble: 'PoolExhausted: the pool public has no free address' })
})

test('a name alone, VPCs, and no cluster network', () => {
  const headless = aService('web', { spec: { type: 'ClusterIP', clusterIP: 'None' } })
  expect(waysOf(aServer({ disableK8sNetworking: true, vpcs: [{ name: 'red' }] }), [headless])).toEqual({
    inwards: [],
    names: ['web.shop.svc.cluster.local'],
    vpcs: ['red'],
    isOnCluster: false,
  })
})
