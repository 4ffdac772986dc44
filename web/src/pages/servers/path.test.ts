import { expect, test } from 'vitest'

import { droppedBy, standOf } from './path'
import type { Card, PortPath } from './path'

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
