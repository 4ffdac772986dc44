import { expect, test } from 'vitest'

import type { AddressPath, Card, Loss, NetworkPath, PortPath } from './path'
import { pictureOf } from './picture'
import type { Picture } from './picture'

const lossAt = (place: string): Loss => ({ place, message: `lost at ${place}`, remedy: 'mend it' })
const port = (number: number, more: Partial<PortPath> = {}): PortPath => ({ port: number, protocol: 'TCP', target: number, element: 'open', answer: 'answers', loss: null, ...more })
const way = (more: Partial<AddressPath> = {}): AddressPath => ({ address: '203.0.113.4', kind: 'ports', service: 'web-tcp', pool: 'public', sources: null, element: 'none', ports: [], loss: null, ...more })
const own = (loss: Loss | null = null) => way({ address: '10.42.0.5', kind: 'own', service: '', pool: '', element: 'open', loss })
const card = (more: Partial<Card> = {}): Card => ({ name: 'pod', network: '', mac: '02:00:00:00:00:01', whole: true, lease: '2026-01-01T00:00:00Z', heard: '02:00:00:00:00:01', dropped: {}, loss: null, ...more })
const path = (addresses: readonly AddressPath[], more: Partial<NetworkPath> = {}): NetworkPath => ({ addresses, names: [], guest: { runs: true, message: '', cards: [card()] }, loss: null, ...more })

/** A picture as text: a line for each box, then for each line that is drawn. */
function drawn({ strands, guest }: Picture): readonly string[] {
  const boxes = [...strands.flatMap((strand) => [...strand.boxes, strand.card]), guest].map((box) => `${box.column}:${box.row}+${box.rows} ${box.title}: ${box.word}${box.reason ? ` (${box.reason})` : ''}`)
  const lines = strands.flatMap((strand) => strand.lines).map((line) => `${line.from}-${line.to}:${line.row}+${line.rows} ${line.state}`)
  return [...boxes, ...lines]
}

test('a public address leads to its ports, each in a row, and all to the card and the guest', () => {
  const ports = [port(22), port(443, { target: 8443, answer: 'refused', loss: lossAt('Port') })]
  const picture = pictureOf(path([way({ ports }), own()]), 'web')
  expect(drawn(picture)).toEqual([
    '1:1+2 Everybody: passes', '2:1+2 203.0.113.4: passes', '3:1+1 22/TCP: answers', '3:2+1 443/TCP: refused (1)',
    '1:3+1 Other servers: passes', '2:3+1 10.42.0.5: passes', '3:3+1 every port: passes',
    '4:1+3 Card 1: passes', '5:1+3 web: answers',
    '1-2:1+2 answers', '1-2:3+1 answers',
    '2-3:1+1 answers', '3-4:1+1 answers', '4-5:1+1 answers',
    '2-3:2+1 passes', '3-4:2+1 passes', '4-5:2+1 lost',
    '2-3:3+1 answers', '3-4:3+1 answers', '4-5:3+1 answers',
  ])
  expect(picture.strands[0]?.boxes[3]?.notes).toEqual(['in the guest: 8443'])
  expect(picture.reasons).toEqual([lossAt('Port')])
})

test('a private address that some may call says who, and a port that nobody asked is no promise', () => {
  const picture = pictureOf(path([way({ sources: ['10.0.0.0/8'], pool: 'private', ports: [port(53, { protocol: 'UDP', answer: 'not asked' })] })]), 'dns')
  expect(drawn(picture)).toEqual([
    '1:1+1 10.0.0.0/8: nobody tried', '2:1+1 203.0.113.4: nobody tried', '3:1+1 53/UDP: was not asked', '4:1+1 Card 1: nobody tried', '5:1+1 dns: nobody tried',
    '1-2:1+1 untried', '2-3:1+1 untried', '3-4:1+1 untried', '4-5:1+1 untried',
  ])
})

test.each([['attached', 'the card’s own'], ['floating', 'floating']] as const)('an address that is %s leads all ports to the guest', (kind, note) => {
  const picture = pictureOf(path([way({ kind })]), 'web')
  expect(drawn(picture).slice(0, 5)).toEqual(['1:1+1 Everybody: passes', '2:1+1 203.0.113.4: passes', '3:1+1 every port: passes', '4:1+1 Card 1: passes', '5:1+1 web: answers'])
  expect(picture.strands[0]?.boxes[1]?.notes).toEqual([`${note} · web-tcp · pool public`])
})

test('a headless server has a name for others, which leads to its card', () => {
  const picture = pictureOf(path([own()], { names: ['web.shop.svc.cluster.local'] }), 'web')
  expect(drawn(picture)).toContain('1:1+2 Other servers: passes')
  expect(drawn(picture)).toContain('2:2+1 web.shop.svc.cluster.local: nobody tried')
  expect(drawn(picture)).toContain('2-4:2+1 untried')
})

test('each network of its own leads to a card of its own', () => {
  const vpcs = [card({ name: 'net1', network: 'blue', lease: '', heard: '' }), card({ name: 'net2', network: 'red', loss: lossAt('Card') })]
  const both = drawn(pictureOf(path([own()], { guest: { runs: true, message: '', cards: [card(), ...vpcs] } }), 'wall'))
  expect(both).toContain('4:2+1 Card 2: nobody tried')
  expect(both).toContain('4:3+1 Card 3: lost here (1)')
  expect(both).toContain('5:1+3 wall: answers')
  const alone = drawn(pictureOf(path([], { guest: { runs: true, message: '', cards: vpcs } }), 'wall'))
  expect(alone).toEqual([
    '1:1+1 Servers in blue: nobody tried', '4:1+1 Card 1: nobody tried', '1:2+1 Servers in red: passes', '4:2+1 Card 2: lost here (1)', '5:1+2 wall: nobody tried',
    '1-4:1+1 untried', '4-5:1+1 untried', '1-4:2+1 lost', '4-5:2+1 beyond',
  ])
})

test('without any network there is the guest alone, and it says so', () => {
  const { strands, guest } = pictureOf(path([], { guest: { runs: true, message: '', cards: [] } }), 'island')
  expect(strands).toEqual([])
  expect(guest).toMatchObject({ row: 1, rows: 1, state: 'untried', notes: ['runs', 'no network leads to it'] })
})

test.each([
  ['Sources', 1], ['Address', 2], ['Uplink', 2], ['Rules', 3], ['Element', 3], ['Readiness', 3],
  ['Card', 4], ['Flows', 4], ['Guard', 4], ['Machine', 5], ['Lease', 5], ['ARP', 5], ['Port', 5], ['Guest', 5],
])('what is lost at %s is drawn at column %i: before it packets pass, and behind it none arrive', (place, column) => {
  const loss = lossAt(place)
  const answer = ['Port', 'Guest'].includes(place) ? 'silent' : 'not asked'
  const { strands, guest, reasons } = pictureOf(path([way({ ports: [port(80, { answer, loss })], loss: column < 4 ? loss : null })], { loss }), 'web')
  const [strand] = strands
  const boxes = [...(strand?.boxes ?? []), strand?.card, guest]
  const lost = place === 'Lease' || place === 'ARP' ? 'waits' : 'lost'
  const wanted = [1, 2, 3, 4, 5].map((at) => (at < column ? 'passes' : at > column ? 'beyond' : lost))
  if (answer === 'silent') wanted[2] = 'lost'
  expect(boxes.map((box) => box?.state)).toEqual(wanted)
  expect(strand?.lines.map((line) => line.state)).toEqual([2, 3, 4, 5].map((at) => (at < column ? 'passes' : at > column ? 'beyond' : lost)))
  expect(boxes[column - 1]?.reason).toBe(1)
  expect(reasons).toEqual([loss])
})

test('a guest that does not run is where packets are lost, whoever calls', () => {
  const loss = lossAt('Machine')
  const lost = { runs: false, message: 'it is stopped', cards: [] }
  const called = drawn(pictureOf(path([way({ ports: [port(80, { answer: 'not asked', loss })] })], { names: ['web-tcp.shop.svc.cluster.local'], guest: lost, loss }), 'web'))
  expect(called.filter((one) => one.startsWith('3') || one.startsWith('5'))).toEqual(['3:1+1 80/TCP: was not asked', '5:1+2 web: lost here (1)', '3-4:1+1 passes'])
  expect(drawn(pictureOf(path([], { guest: lost, loss }), 'web'))).toEqual(['5:1+1 web: lost here (1)'])
})

test('many ports that fare alike have one box', () => {
  const ports = [...Array.from({ length: 12 }, (_, index) => port(8000 + index)), port(9000, { answer: 'refused', loss: lossAt('Port') })]
  const boxes = pictureOf(path([way({ ports })]), 'web').strands[0]?.boxes ?? []
  expect(boxes.slice(2).map(({ title, notes }) => [title, ...notes])).toEqual([['8000, 8001, 8002, 8003, 8004, 8005, 8006, 8007 TCP', 'and 4 more'], ['9000/TCP']])
})
