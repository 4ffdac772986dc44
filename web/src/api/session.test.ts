import { expect, test } from 'vitest'
import { calledUser } from './session'

test('a user of vs user add is called by name, and any other as the API has it', () => {
  expect(calledUser('system:serviceaccount:vs-users:ann')).toBe('ann')
  expect(calledUser('system:serviceaccount:shop:ann')).toBe('system:serviceaccount:shop:ann')
  expect(calledUser('kubernetes-admin')).toBe('kubernetes-admin')
})
