/** The order of the list: pure. */
import type { Row } from './row'

export type Column = 'name' | 'state' | 'region' | 'uptime'

export interface Order {
  readonly column: Column
  readonly isDown: boolean
}

/** States in the order in which one wants to see them: first what is wrong. */
const STATES = ['failed', 'waiting', 'paused', 'stopped', 'ready']

/** Rows in an order; those that are alike in it are by name. */
export function sorted(rows: readonly Row[], { column, isDown }: Order): Row[] {
  const sign = isDown ? -1 : 1
  return [...rows].sort((one, other) => sign * compare(key(one, column), key(other, column)) || byName(one, other))
}

export function byName(one: Row, other: Row): number {
  return compare(one.name, other.name) || compare(one.namespace, other.namespace)
}

function key(row: Row, column: Column): string | number {
  if (column === 'state') return STATES.indexOf(row.state)
  // Who runs for longest is the last, and who does not run the first.
  return column === 'uptime' ? (row.runsSince ? -row.runsSince : -Infinity) : row[column]
}

function compare(one: string | number, other: string | number): number {
  return one < other ? -1 : one > other ? 1 : 0
}
