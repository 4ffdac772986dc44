import { expect, test } from 'vitest'

import { remedyOf } from './remedy'

const REMEDIES = { VirtualServerStopped: 'vs start {name}{where}' }
const WEB = { name: 'web', namespace: 'shop' }

test('what to do next names the server, and nothing is said where all is well or the message says it', () => {
  const stopped = { type: 'Ready', status: 'False' as const, reason: 'VirtualServerStopped' }
  expect(remedyOf(REMEDIES, stopped, WEB)).toBe('vs start web -n shop')
  expect(remedyOf(REMEDIES, { ...stopped, status: 'True' }, WEB)).toBe('')
  expect(remedyOf(REMEDIES, { ...stopped, message: 'start it: vs start web' }, WEB)).toBe('')
  expect(remedyOf(REMEDIES, { ...stopped, reason: 'Oh' }, WEB)).toBe('')
})
