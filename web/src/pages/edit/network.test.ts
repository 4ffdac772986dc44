import { expect, test } from 'vitest'

import { parse } from '../../draft'
import { texts } from '../../texts'
import { floatingOf, meaning, networkOf, portsOf, summary } from './network'

const network = (text: string) => networkOf(parse(`spec: {network: {${text}}}`))
const words = texts.network

test.each([
  ['', words.publicNone, 'Public. No port is open.'],
  ['public: true, directAttachLoadBalancerIP: true', words.publicDirect, 'Public. Direct attach.'],
  ['public: true, tcp: {ports: [22]}, udp: {ports: [53]}', words.publicPorts, 'Public. 22/TCP, 53/UDP.'],
  ['public: false, directAttachLoadBalancerIP: yes', words.privateDirect, 'Private. Direct attach.'],
  ['public: no, tcp: {ports: [22]}', words.privatePorts, 'Private. 22/TCP.'],
  ['public: false', words.headless, 'Private. A name, no address.'],
  ['disableK8sNetworking: true, vpcs: [{name: a}, {name: b}]', words.off, 'No cluster network. 2 VPCs.'],
])('%s means what it says', (text, sentence, few) => {
  expect(meaning(network(text))).toBe(sentence)
  expect(summary(network(text))).toBe(few)
})

test('what few servers have is open where there is any of it', () => {
  expect(network('public: true').isMore).toBe(false)
  expect(network('macAddress: a2:1f:ee:09:06:5d').isMore).toBe(true)
  expect(network('dnsConfig: {searches: [example.internal]}').isMore).toBe(true)
})

test('all forms of a floating address are named', () => {
  expect(network('floatingIPs: [{serviceName: mine}, 203.0.113.9, other]').floating).toEqual(['mine', '203.0.113.9', 'other'])
  expect([floatingOf('203.0.113.9'), floatingOf('2001:db8::1'), floatingOf('mine')]).toEqual(['203.0.113.9', '2001:db8::1', { serviceName: 'mine' }])
})

test('ports are typed with commas or spaces', () => {
  expect(portsOf('22, 80 443')).toEqual([22, 80, 443])
  expect([portsOf('ssh'), portsOf('0'), portsOf('65536'), portsOf('1.5')]).toEqual([null, null, null, null])
})
