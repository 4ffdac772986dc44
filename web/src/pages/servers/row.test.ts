import { expect, test } from 'vitest'

import type { VirtualServer } from '../../api/virtualserver'
import { matches, rowOf, wordsOf } from './row'

const metadata = { name: 'web', namespace: 'shop', uid: '1', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', labels: { tier: 'front' } }

function aServer(status: VirtualServer['status'] = {}): VirtualServer {
  return { metadata, spec: { resources: { cpu: { count: 4 }, memory: '8Gi' }, region: 'north' }, status }
}

test('a server that nobody has looked at yet waits', () => {
  expect(rowOf(aServer())).toMatchObject({ state: 'waiting', reason: 'Initializing', hardware: '4 CPU · 8Gi', addresses: [] })
})

test('each address is named once, the one from outside first', () => {
  const network = { internalIP: '10.0.0.2', externalIP: '203.0.113.4', serviceIP: '203.0.113.4', floatingIPs: { mine: '203.0.113.9' } }
  expect(rowOf(aServer({ network })).addresses).toEqual([
    { kind: 'external', address: '203.0.113.4' },
    { kind: 'floating', address: '203.0.113.9' },
    { kind: 'internal', address: '10.0.0.2' },
  ])
})

test('a message that is cut is said in full', () => {
  const conditions = [
    { type: 'Ready', status: 'False' as const, reason: 'PoolExhausted', message: 'the pool public is …' },
    { type: 'FullyApplied', status: 'False' as const, message: 'the pool public is empty; ask for another' },
  ]
  expect(rowOf(aServer({ conditions }))).toMatchObject({ state: 'waiting', message: 'the pool public is empty; ask for another' })
})

test('a search finds names, addresses and labels, all of its words', () => {
  const row = rowOf(aServer({ network: { externalIP: '203.0.113.4' } }))
  expect(['WEB', '113.4', 'tier=front web', '']).toSatisfy((words: string[]) => words.every((one) => matches(row, wordsOf(one))))
  expect(matches(row, wordsOf('web back'))).toBe(false)
})

test('a guest that shuts down is switched off at the latest when its time is over', () => {
  const conditions = [{ type: 'Ready', status: 'False' as const, reason: 'Stopping', lastTransitionTime: '2026-01-01T00:00:00Z' }]
  const began = Date.parse('2026-01-01T00:00:00Z')
  const server = aServer({ conditions })
  expect(rowOf(server).endsBy).toBe(began + 60_000)
  expect(rowOf({ ...server, spec: { os: { type: 'windows' } } }).endsBy).toBe(began + 300_000)
  expect(rowOf({ ...server, spec: { terminationGracePeriodSeconds: 5 } }).endsBy).toBe(began + 5000)
  expect(rowOf(aServer()).endsBy).toBe(0)
})

test('a machine that runs says since when, and one that stands still by somebody’s wish is paused', () => {
  const since = '2026-01-01T00:00:00Z'
  const started = { type: 'VirtualServerStarted', status: 'True' as const, lastTransitionTime: since }
  const ready = (reason: string) => ({ type: 'Ready', status: 'False' as const, reason })
  expect(rowOf(aServer({ conditions: [started, ready('Pending')] }))).toMatchObject({ state: 'paused', runsSince: Date.parse(since) })
  expect(rowOf(aServer({ conditions: [started, ready('WaitingForGuest')] })).state).toBe('waiting')
  const stopped = { ...started, status: 'False' as const }
  expect(rowOf(aServer({ conditions: [stopped, ready('Pending')] }))).toMatchObject({ state: 'waiting', runsSince: 0 })
})
