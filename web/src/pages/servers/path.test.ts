import { expect, test } from 'vitest'

import { droppedBy, lossesOf, standOf, verdictOf } from './path'
import type { AddressPath, Card, NetworkPath, PortPath } from './path'

const port: PortPath = { port: 80, protocol: 'TCP', target: 80, element: 'open', answer: 'answers', loss: null }
const card: Card = { name: 'pod', network: '', mac: '02:00:00:00:00:01', whole: true, lease: '', heard: '', dropped: {}, loss: null }

test('a port is good where the guest answers, bad where packets are lost, and open where nobody asked', () => {
  expect(standOf(port)).toBe('good')
  expect(standOf({ ...port, answer: 'not asked' })).toBe('open')
  expect(standOf({ ...port, answer: 'refused', loss: { place: 'Port', message: '', remedy: '' } })).toBe('bad')
})

test('what a card dropped is said by reason, and nothing of what it did not', () => {
  expect(droppedBy({ ...card, dropped: { spoofed: 3, arp: 0, dhcp: 1 } })).toBe('3 spoofed, 1 dhcp')
  expect(droppedBy(card)).toBe('')
})

test('a cause is said once, and a guest that boots is waited for', () => {
  const loss = () => ({ place: 'Lease', message: 'the guest has not asked for its address', remedy: 'wait' })
  const refused = { place: 'Port', message: 'the guest refuses', remedy: '' }
  const way: AddressPath = { address: '203.0.113.1', kind: 'ports', service: 'web-tcp', pool: 'public', sources: null, element: 'open', ports: [{ ...port, loss: loss() }, { ...port, loss: refused }], loss: loss() }
  const path: NetworkPath = { addresses: [way, way], names: [], guest: { runs: true, message: '', cards: [{ ...card, loss: loss() }] }, loss: loss() }
  expect(lossesOf(path)).toEqual([way.loss, refused])
  expect(verdictOf(path)).toBe('wait')
  expect(verdictOf({ ...path, loss: refused })).toBe('bad')
  expect(verdictOf({ ...path, loss: null })).toBe('good')
})
