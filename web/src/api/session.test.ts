import { expect, test } from 'vitest'
import { calledUser, pathAt } from './session'

test('a user of vs user add is called by name, and any other as the API has it', () => {
  expect(calledUser('system:serviceaccount:vs-users:ann')).toBe('ann')
  expect(calledUser('system:serviceaccount:shop:ann')).toBe('system:serviceaccount:shop:ann')
  expect(calledUser('kubernetes-admin')).toBe('kubernetes-admin')
})

test('who signs in again goes on at the same page, of this console alone', () => {
  const [one, other] = ['0'.repeat(32), '1'.repeat(32)]
  expect(pathAt(one, '/')).toBe(`/${one}/`)
  expect(pathAt(one, `/${other}/terminal/`)).toBe(`/${one}/terminal/`)
  expect(pathAt(one, '//elsewhere.example/')).toBe(`/${one}//elsewhere.example/`)
})
