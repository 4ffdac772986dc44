/** Pools of load balancer addresses: as the administrator sees them, or as a namespace does. */
import type { Manifest } from './client'

export interface Pool extends Manifest {
  readonly status: {
    readonly networks: readonly string[]
    readonly size: number
    readonly used: number
    readonly free: number
    /** Whether it is the machine's own address, whose ports are given one by one. */
    readonly host?: boolean
    /** How many the namespace has that sees it. */
    readonly own?: number
    /** How many of them it may have. */
    readonly quota?: number
  }
}

/** Whether it has no address for anybody. */
export function isEmpty({ status }: Pool): boolean {
  return status.free === 0 && !status.host
}

/** Whether the namespace that sees it has as many as it may have. */
export function isSpent({ status }: Pool): boolean {
  return status.quota !== undefined && (status.own ?? 0) >= status.quota
}
