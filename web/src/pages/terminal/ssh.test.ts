import { expect, test } from 'vitest'

import { sshOf } from './ssh'

const metadata = { name: 'web', namespace: 'shop', uid: '', resourceVersion: '', creationTimestamp: '' }
const users = [{ username: 'ada' }]
const status = { network: { externalIP: '203.0.113.4' } }

test('an address at which port 22 is open is asked itself', () => {
  expect(sshOf({ metadata, spec: { users, network: { tcp: { ports: [80, 22] } } }, status })).toBe('ssh ada@203.0.113.4')
  expect(sshOf({ metadata, spec: { users, network: { directAttachLoadBalancerIP: true } }, status })).toBe('ssh ada@203.0.113.4')
})

test('any other server is reached through the API', () => {
  const through = 'vs ssh web -n shop'
  expect(sshOf({ metadata, spec: { users, network: { tcp: { ports: [80] } } }, status })).toBe(through)
  expect(sshOf({ metadata, spec: { users, network: { tcp: { ports: [22] } } } })).toBe(through)
})
