import { expect, test } from 'vitest'

import { visible } from './window'

const none = new Map<number, number>()

test('few lines are all drawn', () => {
  expect(visible({ count: 3, height: 10, more: none, top: 0, seen: 100 })).toEqual({ first: 0, end: 3, before: 0, behind: 0 })
})

test('of many, those that are seen and eight around them', () => {
  const seen = visible({ count: 10_000, height: 10, more: none, top: 50_000, seen: 100 })
  expect(seen).toEqual({ first: 4992, end: 5019, before: 49_920, behind: 49_810 })
})

test('a line that is open pushes the others down', () => {
  const seen = visible({ count: 100, height: 10, more: new Map([[0, 300]]), top: 310, seen: 10 })
  expect(seen.first).toBe(0)
  expect(seen.end).toBe(11)
  expect(seen.behind).toBe(890)
})

test('a list that became shorter than where one looks shows its end', () => {
  expect(visible({ count: 5, height: 10, more: none, top: 900, seen: 100 })).toEqual({ first: 0, end: 5, before: 0, behind: 0 })
})
