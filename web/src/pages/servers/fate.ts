/** What goes with a server when it is deleted, and what stays: pure. `servers/deletion.py` says the same to `vs delete`. */
import type { Manifest, Metadata } from '../../api/client'
import { addressesOf } from '../../api/service'
import type { Service } from '../../api/service'
import type { VirtualServer } from '../../api/virtualserver'

export interface Owned extends Manifest {
  readonly metadata: Metadata & { readonly ownerReferences?: readonly { readonly uid: string; readonly controller?: boolean }[] }
}

export interface Claim extends Owned {
  readonly status?: { readonly capacity?: { readonly storage?: string } }
}

export interface Fate {
  /** How large the root disk is; empty where there is none. */
  readonly disk: string
  /** Whether it stays. */
  readonly keepsDisk: boolean
  /** Addresses that go back to their pools. */
  readonly addresses: readonly string[]
  /** Services of others whose addresses the server has, and which stay. */
  readonly services: readonly string[]
}

export function fateOf(server: VirtualServer, volume: Owned | null, claim: Claim | null, services: readonly Service[]): Fate {
  const { uid } = server.metadata
  const own = services.filter((service) => ownerOf(service) === uid)
  const addresses = own.flatMap(addressesOf)
  const floating = Object.keys(server.status?.network?.floatingIPs ?? {})
  return {
    disk: volume ? (claim?.status?.capacity?.storage ?? '?') : '',
    keepsDisk: volume !== null && ownerOf(volume) !== uid,
    addresses: [...new Set(addresses)],
    services: floating.filter((name) => !own.some((service) => service.metadata.name === name)).sort(),
  }
}

function ownerOf(object: Owned): string {
  return object.metadata.ownerReferences?.find((one) => one.controller)?.uid ?? ''
}
