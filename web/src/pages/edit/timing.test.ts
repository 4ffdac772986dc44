import { expect, test } from 'vitest'

import { timed } from './timing'
import type { Effect } from './timing'

const EFFECTS: readonly Effect[] = [
  { path: 'metadata.labels', effect: 'now' },
  { path: 'spec.network.public', effect: 'now' },
  { path: 'spec.network.directAttachLoadBalancerIP', effect: 'nextStart' },
  { path: 'spec.network.tcp.ports', effect: 'now' },
  { path: 'spec.users[].username', effect: 'newMachine' },
  { path: 'spec.users[].password', effect: 'newMachine' },
]

function when(before: object, after: object) {
  return timed(EFFECTS, { spec: before }, { spec: after }).map(({ path, when }) => `${path} ${when}`)
}

test('a change says when it is had', () => {
  expect(when({ network: { tcp: { ports: [22] } } }, { network: { tcp: { ports: [22, 80] } } })).toEqual(['spec.network.tcp.ports now'])
  expect(when({}, { users: [{ username: 'a' }] })).toEqual(['spec.users newMachine'])
  expect(when({}, { oh: 1 })).toEqual(['spec.oh unknown'])
  expect(timed(EFFECTS, { metadata: { labels: { a: '1' } } }, { metadata: { labels: { a: '2' } } })).toEqual([{ path: 'metadata.labels.a', when: 'now' }])
})

test('where the address becomes the guest’s own, ports come and go at the next start', () => {
  const ports = { network: { public: true, tcp: { ports: [22] } } }
  expect(when(ports, { network: { public: true, directAttachLoadBalancerIP: true } })).toEqual([
    'spec.network.tcp nextStart',
    'spec.network.directAttachLoadBalancerIP nextStart',
  ])
  const attached = { network: { public: true, directAttachLoadBalancerIP: true } }
  expect(when(attached, { network: { ...attached.network, public: false } })).toEqual(['spec.network.public nextStart'])
})
