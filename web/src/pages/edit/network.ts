/** What a manifest's network section means, in words: pure. */
import { read } from '../../draft'
import type { Draft } from '../../draft'
import { texts } from '../../texts'

export const NETWORK = ['spec', 'network'] as const
export type Protocol = 'tcp' | 'udp'

export interface Network {
  readonly isPublic: boolean
  readonly isDirect: boolean
  readonly isOff: boolean
  readonly tcp: readonly number[]
  readonly udp: readonly number[]
  readonly vpcs: readonly string[]
  readonly floating: readonly string[]
  readonly nameservers: readonly string[]
  readonly searches: readonly string[]
  readonly isHeadless: boolean
  /** Whether there is anything of what few servers have. */
  readonly isMore: boolean
}

/** What the API fills in where nothing is said. */
const DEFAULT_POLICY = 'ClusterFirst'

/** Names of ports that many servers have. */
const NAMES: Readonly<Record<number, string>> = {
  22: 'ssh', 25: 'smtp', 53: 'dns', 80: 'http', 123: 'ntp', 143: 'imap', 443: 'https', 445: 'smb', 993: 'imaps',
  1194: 'openvpn', 3306: 'mysql', 3389: 'rdp', 4172: 'pcoip', 5432: 'postgres', 5900: 'vnc', 5985: 'winrm',
  6379: 'redis', 8080: 'http', 8443: 'https', 51820: 'wireguard', 60443: 'pcoip',
} // prettier-ignore

export function nameOf(port: number): string {
  return NAMES[port] ?? ''
}

export function networkOf(draft: Draft): Network {
  const at = (...path: (string | number)[]) => read(draft, [...NETWORK, ...path])
  const strings = (...path: string[]) => list(at(...path)).map(String)
  const network = {
    isPublic: at('public') !== false,
    isDirect: at('directAttachLoadBalancerIP') === true,
    isOff: at('disableK8sNetworking') === true,
    tcp: list(at('tcp', 'ports')).map(Number),
    udp: list(at('udp', 'ports')).map(Number),
    vpcs: list(at('vpcs')).map((one) => named(one, 'name')),
    floating: list(at('floatingIPs')).map((one) => named(one, 'serviceName')),
    nameservers: strings('dnsConfig', 'nameservers'),
    searches: strings('dnsConfig', 'searches'),
    isHeadless: at('headless') === true,
  }
  const { vpcs, floating, nameservers, searches, isHeadless, isOff } = network
  const policy = at('dnsPolicy') === DEFAULT_POLICY ? undefined : at('dnsPolicy')
  const few = [at('macAddress'), policy, isHeadless || isOff || undefined]
  const isMore = few.some((one) => one !== undefined) || [vpcs, floating, nameservers, searches].some((one) => one.length)
  return { ...network, isMore }
}

/** The item of `floatingIPs` that a text means: an address, or the name of a Service. */
export function floatingOf(text: string): unknown {
  return /^[0-9.]+$|:/.test(text) ? text : { serviceName: text }
}

function named(item: unknown, key: string): string {
  return typeof item === 'object' && item !== null ? String((item as Record<string, unknown>)[key] ?? '') : String(item ?? '')
}

/** What the switches and ports together come to. */
export function meaning(network: Network): string {
  const words = texts.network
  if (network.isOff) return words.off
  if (network.isDirect) return network.isPublic ? words.publicDirect : words.privateDirect
  if (hasPorts(network)) return network.isPublic ? words.publicPorts : words.privatePorts
  return network.isPublic ? words.publicNone : words.headless
}

/** The same in a few words, for a section that is closed. */
export function summary(network: Network): string {
  const words = texts.network.summary
  const vpcs = network.vpcs.length ? words.vpcs(network.vpcs.length) : ''
  if (network.isOff) return words.off + vpcs
  if (network.isDirect) return (network.isPublic ? words.publicDirect : words.privateDirect) + vpcs
  const ports = [...network.tcp.map((port) => `${port}/TCP`), ...network.udp.map((port) => `${port}/UDP`)].join(', ')
  if (ports) return (network.isPublic ? words.publicPorts(ports) : words.privatePorts(ports)) + vpcs
  return (network.isPublic ? words.publicNone : words.headless) + vpcs
}

export function hasPorts(network: Network): boolean {
  return network.tcp.length + network.udp.length > 0
}

/** The ports that somebody typed, with spaces or commas between; null where one is none. */
export function portsOf(text: string): number[] | null {
  const words = text.split(/[\s,]+/).filter(Boolean)
  const ports = words.map(Number)
  return ports.every((port) => Number.isInteger(port) && port >= 1 && port <= 65535) ? ports : null
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
