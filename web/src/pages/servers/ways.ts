/** The ways of packets to and from a server, as Services and the manifest say them: pure. */
import { ASSIGNED, PUBLISHED, addressesOf, ownerOf } from '../../api/service'
import type { Service } from '../../api/service'
import type { VirtualServer } from '../../api/virtualserver'

/** One way in, from an address to the guest. */
export interface Way {
  readonly service: string
  readonly address: string
  /** The ports that lead on; empty: all of them. */
  readonly ports: readonly string[]
  /** Who may come; empty: everybody. */
  readonly from: readonly string[]
  /** Why nothing comes, or not all; empty where nothing is wrong. */
  readonly trouble: string
}

export interface Ways {
  readonly inwards: readonly Way[]
  /** Names by which other servers find it. */
  readonly names: readonly string[]
  readonly vpcs: readonly string[]
  /** Whether it has a card on the cluster network. */
  readonly isOnCluster: boolean
}

const DOMAIN = 'svc.cluster.local'

export function waysOf(server: VirtualServer, services: readonly Service[]): Ways {
  const { uid } = server.metadata
  const network = server.spec?.network ?? {}
  const floating = server.status?.network?.floatingIPs ?? {}
  const own = services.filter((service) => ownerOf(service)?.uid === uid)
  const lent = services.filter((service) => service.metadata.name in floating && ownerOf(service)?.uid !== uid)
  const isDirect = network.directAttachLoadBalancerIP === true
  return {
    inwards: [
      ...own.filter((service) => service.spec?.type === 'LoadBalancer').flatMap((service) => waysBy(service, isDirect)),
      ...lent.flatMap((service) => waysBy(service, true)),
    ],
    names: own.map((service) => `${service.metadata.name}.${service.metadata.namespace ?? ''}.${DOMAIN}`),
    vpcs: (network.vpcs ?? []).map((one) => one.name ?? ''),
    isOnCluster: network.disableK8sNetworking !== true,
  }
}

/**
 * The ways by one Service: one for each of its addresses, or one that says why there is none.
 * @param all Whether all ports lead on, whichever the Service names.
 */
function waysBy(service: Service, all: boolean): Way[] {
  const trouble = [ASSIGNED, PUBLISHED]
    .flatMap((type) => service.status?.conditions?.filter((one) => one.type === type && one.status === 'False') ?? [])
    .map((one) => [one.reason, one.message].filter(Boolean).join(': '))
    .join('; ')
  const way = {
    service: service.metadata.name,
    ports: all ? [] : (service.spec?.ports ?? []).map((one) => `${one.port}/${one.protocol ?? 'TCP'}`),
    from: service.spec?.loadBalancerSourceRanges ?? [],
    trouble,
  }
  const addresses = addressesOf(service)
  return (addresses.length ? addresses : ['']).map((address) => ({ ...way, address }))
}
