/** What pages read of a Service. */
import type { Manifest, Metadata } from './client'
import type { Condition } from './virtualserver'

export interface Service extends Manifest {
  readonly metadata: Metadata & { readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string; readonly controller?: boolean }[] }
  readonly spec?: {
    readonly type?: string
    readonly selector?: object
    readonly clusterIP?: string
    readonly ports?: readonly { readonly port: number; readonly protocol?: string }[]
    readonly loadBalancerSourceRanges?: readonly string[]
  }
  readonly status?: {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] }
    readonly conditions?: readonly Condition[]
  }
}

/** The annotation that names the pool of its address. */
export const POOL = 'metallb.io/address-pool'

/** Conditions of a Service, by what they are about. */
export const ASSIGNED = 'virtualservers.coreweave.com/AddressAssigned'
export const PUBLISHED = 'virtualservers.coreweave.com/PortsPublished'

/** The pool that a Service names; empty for none. */
export function poolOf(service: Service): string {
  return service.metadata.annotations?.[POOL] ?? ''
}

export function addressesOf(service: Service): string[] {
  return (service.status?.loadBalancer?.ingress ?? []).map((one) => one.ip ?? '').filter(Boolean)
}

/** The server that a Service was made for and goes with, by its name and UID; null for none. */
export function ownerOf(service: Service): { readonly name: string; readonly uid: string } | null {
  return service.metadata.ownerReferences?.find((one) => one.controller && one.kind === 'VirtualServer') ?? null
}
