/** Who has which load balancer address, by Services and servers: pure. */
import { ASSIGNED, POOL, addressesOf, ownerOf, poolOf } from '../../api/service'
import type { Service } from '../../api/service'
import type { VirtualServer } from '../../api/virtualserver'

/** `server`: made for a server, and goes with it; `floating`: kept by itself, for any server; `own`: of the user's. */
export type Kind = 'server' | 'floating' | 'own'

export interface Holding {
  readonly uid: string
  readonly namespace: string
  readonly service: string
  readonly kind: Kind
  readonly addresses: readonly string[]
  readonly pool: string
  /** Servers that have the address now. */
  readonly users: readonly string[]
  /** Why there is none yet; empty where there is one. */
  readonly waits: string
  readonly ports: string
  /** What a search looks in, in lower case. */
  readonly words: string
}

export function holdings(services: Iterable<Service>, servers: Iterable<VirtualServer>): Holding[] {
  const all = [...servers]
  return [...services]
    .filter((service) => service.spec?.type === 'LoadBalancer')
    .map((service) => holdingOf(service, all))
    .sort((one, other) => compare(one.namespace, other.namespace) || compare(one.service, other.service))
}

/** The Service that keeps an address for whichever server names it. */
export function floatingService(namespace: string, name: string, pool: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, ...(pool ? { annotations: { [POOL]: pool } } : {}) },
    // A Service has a port; which one does not matter, since all of them lead to the server.
    spec: { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ name: 'any', port: 1, protocol: 'TCP' }] },
  }
}

function holdingOf(service: Service, servers: readonly VirtualServer[]): Holding {
  const { name, namespace = '', uid } = service.metadata
  const owner = ownerOf(service)
  const isFloating = !owner && !Object.keys(service.spec?.selector ?? {}).length
  const floating = servers.filter((server) => server.metadata.namespace === namespace && name in (server.status?.network?.floatingIPs ?? {}))
  const addresses = addressesOf(service)
  const pool = poolOf(service)
  const assigned = service.status?.conditions?.find((one) => one.type === ASSIGNED)
  const users = owner ? [owner.name] : floating.map((server) => server.metadata.name)
  const ports = isFloating ? '' : (service.spec?.ports ?? []).map((one) => `${one.port}/${one.protocol ?? 'TCP'}`).join(', ')
  return {
    uid,
    namespace,
    service: name,
    kind: owner ? 'server' : isFloating ? 'floating' : 'own',
    addresses,
    pool,
    users,
    waits: addresses.length ? '' : [assigned?.reason, assigned?.message].filter(Boolean).join(': '),
    ports,
    words: [name, namespace, ...addresses, ...users, pool].join(' ').toLowerCase(),
  }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
