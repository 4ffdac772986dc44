/** What one line of the list says of a server: pure. */
import type { Verb } from '../../api/kinds'
import type { Condition, VirtualServer } from '../../api/virtualserver'

export type StateName = 'ready' | 'waiting' | 'paused' | 'stopped' | 'failed'
export type AddressKind = 'external' | 'internal' | 'service' | 'floating'

export interface Address {
  readonly kind: AddressKind
  readonly address: string
}

export interface Row {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly os: string
  readonly hardware: string
  readonly region: string
  readonly state: StateName
  readonly reason: string
  readonly message: string
  /** Since when its machine runs, in ms since 1970; 0 for one that does not. */
  readonly runsSince: number
  readonly addresses: readonly Address[]
  /** When a guest that shuts down is switched off at the latest, in ms since 1970; 0 for one that does not. */
  readonly endsBy: number
  /** The server itself, for what is opened. */
  readonly server: VirtualServer
  /** What a search looks in, in lower case. */
  readonly words: string
}

const STOPPING = 'Stopping'
/** What Ready says of a machine that runs, and stands still because somebody wanted it. */
const PAUSED = 'Pending'
const STOPPED = new Set(['VirtualServerStopped', 'VirtualMachineInstanceShutdown'])
const FAILED = new Set(['Failed', 'InvalidSpec', 'InvalidCloudInit', 'NotSupportedYet', 'Error', 'SetAside'])

export function rowOf(server: VirtualServer): Row {
  const { metadata, spec } = server
  const conditions = server.status?.conditions ?? []
  const ready = conditions.find((one) => one.type === 'Ready')
  const started = conditions.find((one) => one.type === 'VirtualServerStarted')
  const runs = started?.status === 'True'
  const addresses = addressesOf(server)
  const { labels = {}, namespace = '' } = metadata
  const row = {
    uid: metadata.uid,
    namespace,
    name: metadata.name,
    os: spec?.os?.type ?? '',
    hardware: hardwareOf(server),
    region: spec?.region ?? '',
    state: runs && ready?.reason === PAUSED ? ('paused' as const) : stateOf(ready),
    reason: ready?.reason ?? 'Initializing',
    message: inFull(conditions, ready?.message ?? ''),
    runsSince: runs ? Date.parse(started.lastTransitionTime ?? '') || 0 : 0,
    addresses,
    endsBy: ready?.reason === STOPPING ? Date.parse(ready.lastTransitionTime ?? '') + graceOf(server) * 1000 : 0,
    server,
  }
  const said = [row.name, namespace, row.region, ...addresses.map((one) => one.address), ...Object.entries(labels).flatMap(([key, value]) => [`${key}=${value}`])]
  return { ...row, words: said.join(' ').toLowerCase() }
}

/** Whether an action may do something to a server as it is: one that runs is not started, nor a stopped one stopped. */
export function takes(row: Row, verb: Verb): boolean {
  if (verb === 'start') return row.runsSince === 0 && row.state !== 'ready' && row.state !== 'paused'
  return row.state !== 'stopped' && (verb !== 'stop' || row.endsBy === 0)
}

/** The words that somebody looks for. */
export function wordsOf(search: string): string[] {
  return search.toLowerCase().split(/\s+/).filter(Boolean)
}

/** Whether all these words are in a row. */
export function matches(row: Row, words: readonly string[]): boolean {
  return words.every((word) => row.words.includes(word))
}

function stateOf(ready: Condition | undefined): StateName {
  if (ready?.status === 'True') return 'ready'
  if (STOPPED.has(ready?.reason ?? '')) return 'stopped'
  return FAILED.has(ready?.reason ?? '') ? 'failed' : 'waiting'
}

/** Ready's message is cut where it is long; FullyApplied then begins with all of it. */
function inFull(conditions: readonly Condition[], message: string): string {
  if (!message.endsWith(' …')) return message
  const full = conditions.find((one) => one.type === 'FullyApplied')?.message ?? ''
  return full.startsWith(message.slice(0, -2)) ? full : message
}

function addressesOf(server: VirtualServer): Address[] {
  const network = server.status?.network ?? {}
  const found: Address[] = [
    { kind: 'external', address: network.externalIP ?? '' },
    ...Object.values(network.floatingIPs ?? {}).map((address) => ({ kind: 'floating' as const, address })),
    { kind: 'internal', address: network.internalIP ?? '' },
    { kind: 'service', address: network.serviceIP ?? '' },
  ]
  return found.filter((one, index) => one.address && found.findIndex((other) => other.address === one.address) === index)
}

/** How many seconds a guest has to shut down. */
function graceOf({ spec }: VirtualServer): number {
  return spec?.terminationGracePeriodSeconds ?? (spec?.os?.type === 'windows' ? 300 : 60)
}

function hardwareOf(server: VirtualServer): string {
  const resources = server.spec?.resources ?? {}
  const { cpu, gpu, memory } = resources
  const parts = [`${cpu?.count ?? 2} CPU${cpu?.type ? ` ${cpu.type}` : ''}`, String(memory ?? '')]
  if (gpu?.type) parts.push(`${gpu.count ?? 1} × ${gpu.type}`)
  return parts.filter(Boolean).join(' · ')
}
