/** The way of packets to a server as the node sees it: what it answers, and what of that is said of each port and card. Pure. */
import { texts } from '../../texts'

export interface Loss {
  readonly place: string
  readonly message: string
  readonly remedy: string
}

export interface PortPath {
  readonly port: number
  readonly protocol: string
  /** The guest's port; 0 where there is none. */
  readonly target: number
  readonly element: string
  readonly answer: 'answers' | 'refused' | 'silent' | 'unreachable' | 'not asked'
  readonly loss: Loss | null
}

export interface AddressPath {
  readonly address: string
  readonly kind: 'ports' | 'attached' | 'floating' | 'own'
  readonly service: string
  readonly pool: string
  /** Who may call; null: everybody. */
  readonly sources: readonly string[] | null
  readonly element: string
  readonly ports: readonly PortPath[]
  readonly loss: Loss | null
}

export interface Card {
  readonly name: string
  readonly network: string
  readonly mac: string
  readonly whole: boolean
  readonly lease: string
  readonly heard: string
  readonly dropped: Readonly<Record<string, number>>
  readonly loss: Loss | null
}

export interface NetworkPath {
  readonly addresses: readonly AddressPath[]
  readonly names: readonly string[]
  readonly guest: { readonly runs: boolean; readonly message: string; readonly cards: readonly Card[] }
  /** The first place where packets are lost; null: none that the node can see. */
  readonly loss: Loss | null
}

/** Places that a guest passes while it boots. */
const BOOTING: ReadonlySet<string> = new Set(['Lease', 'ARP'])

/** Whether a port lets packets through to a guest that answers, does not, or nobody knows. */
export function standOf(port: PortPath): 'good' | 'bad' | 'open' {
  if (port.loss) return 'bad'
  return port.answer === 'answers' ? 'good' : 'open'
}

/** How the way is as a whole: a guest that boots has not asked for its address yet, which is no fault. */
export function verdictOf({ loss }: NetworkPath): 'good' | 'wait' | 'bad' {
  if (!loss) return 'good'
  return isBoot(loss) ? 'wait' : 'bad'
}

/** Whether packets are lost only until a guest has booted. */
export function isBoot({ place }: Loss): boolean {
  return BOOTING.has(place)
}

/**
 * Who may call at an address.
 * @param words For callers that are not named by their addresses.
 */
export function callersOf({ sources, kind }: AddressPath, words: { readonly everybody: string; readonly nobody: string; readonly servers: string }): string {
  if (sources) return sources.join(', ') || words.nobody
  return kind === 'own' ? words.servers : words.everybody
}

/**
 * What an address is: its kind, Service and pool.
 * @param kinds A word for each kind.
 */
export function descriptionOf({ kind, service, pool }: AddressPath, kinds: Readonly<Record<AddressPath['kind'], string>>): string {
  return [kinds[kind], service, pool && texts.servers.path.pool(pool)].filter(Boolean).join(' · ')
}

/** Where packets are lost, from the outside in: each cause once, which is met at many places. */
export function lossesOf({ addresses, guest, loss }: NetworkPath): readonly Loss[] {
  const losses = [...addresses.flatMap((way) => [way.loss, ...way.ports.map((port) => port.loss)]), ...guest.cards.map((card) => card.loss), loss]
  const firsts = new Map<string, Loss>()
  for (const one of losses) if (one && !firsts.has(one.message)) firsts.set(one.message, one)
  return [...firsts.values()]
}

/** How many packets of a card's were dropped, by reason, in words; empty for none. */
export function droppedBy({ dropped }: Card): string {
  return Object.entries(dropped)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${count} ${reason}`)
    .join(', ')
}
