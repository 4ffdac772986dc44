/** The ways of a path, one by one, from who calls to the guest's card: what a picture has a row for. Pure. */
import { texts } from '../../texts'
import { callersOf, descriptionOf } from './path'
import type { AddressPath, Card, Loss, NetworkPath, PortPath } from './path'

export interface Place {
  readonly title: string
  readonly notes: readonly string[]
  /** What came of asking; undefined where nobody asks. */
  readonly answer?: PortPath['answer']
}

export interface Track {
  readonly who: string
  readonly address: Place | null
  readonly port: Place | null
  readonly loss: Loss | null
  readonly isAnswered: boolean
}

type Ports = readonly [PortPath, ...PortPath[]]

const words = texts.servers.picture
/** So many ports of an address have rows of their own; more are put together where they fare alike. */
const MOST_PORTS = 4
const MOST_NAMED = 8

/**
 * The ways by the cluster network, those of one caller next to each other.
 * @param common Where whatever comes by that network is lost.
 */
export function tracksOf({ addresses, names }: NetworkPath, common: Loss | null): readonly Track[] {
  const own = addresses.find((one) => one.kind === 'own' || one.kind === 'attached')
  const named = names.map((title) => ({ who: words.servers, address: { title, notes: [words.name] }, port: null, loss: own ? own.loss : common, isAnswered: false }))
  const tracks = [...addresses.flatMap(tracksBy), ...named]
  const callers = [...new Set(tracks.map((track) => track.who))]
  return callers.flatMap((who) => tracks.filter((track) => track.who === who))
}

/** The way by a network of the server's own: nobody tries it. */
export function vpcTrack({ network, loss }: Card): Track {
  return { who: words.vpc(network), address: null, port: null, loss, isAnswered: false }
}

function tracksBy(way: AddressPath): readonly Track[] {
  const address = { title: way.address || texts.servers.ways.noAddress, notes: [descriptionOf(way, words.kinds)] }
  const whole = { who: callersOf(way, words), address, loss: way.loss }
  if (way.kind !== 'ports') return [{ ...whole, port: { title: words.everyPort, notes: [] }, isAnswered: !way.loss }]
  const bundles = bundled(way.ports)
  if (!bundles.length) return [{ ...whole, port: null, isAnswered: false }]
  return bundles.map((ports) => ({ ...whole, port: portOf(ports), loss: way.loss ?? ports[0].loss, isAnswered: ports[0].answer === 'answers' }))
}

/** Each port by itself; where there are many, those together that fare alike. */
function bundled(ports: readonly PortPath[]): readonly Ports[] {
  const isMany = ports.length > MOST_PORTS
  const bundles = new Map<string, [PortPath, ...PortPath[]]>()
  for (const port of ports) {
    const key = isMany ? `${port.protocol} ${port.answer} ${port.loss?.message ?? ''}` : `${port.port}/${port.protocol}`
    const bundle = bundles.get(key)
    if (bundle) bundle.push(port)
    else bundles.set(key, [port])
  }
  return [...bundles.values()]
}

function portOf(ports: Ports): Place {
  const [{ port, protocol, target, answer }] = ports
  if (ports.length === 1) return { title: `${port}/${protocol}`, notes: target && target !== port ? [words.target(target)] : [], answer }
  const named = ports.slice(0, MOST_NAMED).map((one) => one.port)
  return { title: `${named.join(', ')} ${protocol}`, notes: ports.length > MOST_NAMED ? [words.more(ports.length - MOST_NAMED)] : [], answer }
}
