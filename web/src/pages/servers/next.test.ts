import { expect, test } from 'vitest'

import { commandOf, pageOf, verbOf } from './next'
import { rowOf } from './row'
import type { Row } from './row'

function row(reason: string, message = ''): Row {
  const metadata = { name: 'web', namespace: 'shop', uid: '1', resourceVersion: '1', creationTimestamp: '' }
  const ready = { type: 'Ready', status: 'False' as const, reason, message, lastTransitionTime: '2026-01-01T00:00:00Z' }
  return rowOf({ metadata, status: { conditions: [ready] } })
}

test.each([
  ['VirtualServerStopped', 'start'],
  ['Stopping', 'force'],
  ['RestartRequired', 'restart'],
  ['WaitingForGuest', 'stop'],
])('of a server that is %s the next step is %s', (reason, verb) => {
  expect(verbOf(row(reason))).toBe(verb)
})

// As `plan/sites/local.py` and `node/allocation/addresses.py` say it.
const MISSING = 'spec.storage.root.source.pvc: image vd-images/ubuntu2004 does not exist:'
const EMPTY = "Service web-tcp: pool 'public' (192.0.2.0/29) has no free address: 6 of 6 are in use; take one from a server (the ports in its spec.network), or give the pool more (vs up --public-pool NETWORK, or --private-pool)"
test.each([
  ['ImageNotFound', `${MISSING} there is debian: name one of them; to let the name stand for debian: vs image alias vd-images/ubuntu2004 debian; all else`, 'vs image alias vd-images/ubuntu2004 debian'],
  ['ImageNotFound', `${MISSING} there is no image yet: vs image build debian, then vs image alias vd-images/ubuntu2004 debian`, 'vs image build debian && vs image alias vd-images/ubuntu2004 debian'],
  ['ImageNotFound', `${MISSING} vs image alias 'vd-images/$(id)' debian`, ''],
  ['PoolExhausted', EMPTY, 'vs up --public-pool NETWORK'],
  ['PoolExhausted', EMPTY.replace("'public'", "'public-ord1'"), ''],
  ['WaitingForGuest', 'vs image build debian', ''],
])('%s: %s', (reason, message, command) => {
  expect(commandOf(row(reason, message))).toBe(command)
})

test('what a server waits for has a page', () => {
  expect(['ImageNotFound', 'Provisioning', 'PoolExhausted', 'WaitingForGuest', 'VirtualServerStopped'].map((reason) => pageOf(row(reason)))).toEqual(['#/images', '#/images', '#/addresses', '', ''])
})
