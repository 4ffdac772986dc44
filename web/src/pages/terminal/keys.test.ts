import { expect, test } from 'vitest'

import { keysOf } from './keys'

test('letters of every layout are keys of their own', () => {
  expect(keysOf('aß€')).toEqual([0x61, 0xdf, 0x010020ac])
})

test('the end of a line is Enter, once', () => {
  expect(keysOf('a\r\nb\n')).toEqual([0x61, 0xff0d, 0x62, 0xff0d])
})
