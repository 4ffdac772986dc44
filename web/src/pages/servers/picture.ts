/** The picture of the way of packets: boxes and lines on a grid, from who calls (left) to the guest (right). Pure. */
import { texts } from '../../texts'
import { isBoot, lossesOf } from './path'
import type { Card, Loss, NetworkPath } from './path'
import { tracksOf, vpcTrack } from './tracks'
import type { Place, Track } from './tracks'

/** Who calls, address or name, port, network card, guest. */
export type Column = 1 | 2 | 3 | 4 | 5
/**
 * Of a box or a line: the guest answers by it; packets pass, and are lost behind it; nobody tried; a guest that boots is
 * waited for; packets are lost here; none come here, since they are lost before.
 */
export type State = 'answers' | 'passes' | 'untried' | 'waits' | 'lost' | 'beyond'

/** Rows of the grid, from 1. */
interface Rows {
  readonly row: number
  readonly rows: number
}

export interface Box extends Rows {
  readonly column: Column
  readonly title: string
  readonly notes: readonly string[]
  readonly state: State
  /** The state in words. */
  readonly word: string
  /** Which of the reasons is its own, from 1; 0: none. */
  readonly reason: number
}

export interface Line extends Rows {
  readonly from: Column
  readonly to: Column
  readonly state: State
}

/** A network card, and all that leads to it and on to the guest. */
export interface Strand {
  readonly boxes: readonly Box[]
  readonly lines: readonly Line[]
  readonly card: Box
}

export interface Picture {
  readonly strands: readonly Strand[]
  readonly guest: Box
  /** Why packets are lost, each cause once. */
  readonly reasons: readonly Loss[]
}

type Run = readonly [Track, ...Track[]]

const words = texts.servers.picture
/** Where a loss is drawn; what a guest does is drawn at the guest. */
const DRAWN: Readonly<Record<string, Column>> = { Sources: 1, Address: 2, Uplink: 2, Rules: 3, Element: 3, Readiness: 3, Card: 4, Flows: 4, Guard: 4 }
/** From the best: what one way passes is no place of loss. */
const STATES: readonly State[] = ['answers', 'passes', 'untried', 'waits', 'lost', 'beyond']

/**
 * Draw a path.
 * @param name The server's.
 */
export function pictureOf(path: NetworkPath, name: string): Picture {
  const reasons = lossesOf(path)
  const machine = reasons.find((loss) => loss.place === 'Machine') ?? null
  const cards = path.guest.cards
  const cluster = cards.find((card) => !card.network) ?? null
  const lead = tracksOf(path, cluster?.loss ?? machine)
  const bundles: (readonly [Card | null, readonly Track[]])[] = cards.filter((card) => card.network).map((card) => [card, [vpcTrack(card)]])
  if (lead.length || cluster) bundles.unshift([cluster, lead])
  let row = 1
  const strands = bundles.map(([card, tracks], index) => {
    const strand = strandOf(card, tracks, { first: row, number: index + 1, reasons })
    row += strand.card.rows
    return strand
  })
  return { strands, guest: guestOf(path, name, { tracks: bundles.flatMap(([, tracks]) => tracks), rows: row - 1, machine, reasons }), reasons }
}

function strandOf(card: Card | null, tracks: readonly Track[], { first, number, reasons }: { first: number; number: number; reasons: readonly Loss[] }): Strand {
  const boxes: Box[] = []
  const lines: Line[] = []
  const at = (index: number, rows = 1): Rows => ({ row: first + index, rows })
  for (const [index, run] of runsOf(tracks, (track) => track.who)) boxes.push(boxOf(1, at(index, run.length), { title: run[0].who, notes: [] }, run, reasons))
  for (const [index, run] of runsOf(tracks, (track) => track.address)) {
    const { address } = run[0]
    if (!address) continue
    boxes.push(boxOf(2, at(index, run.length), address, run, reasons))
    lines.push({ from: 1, to: 2, ...at(index, run.length), state: stateOf(run, 2) })
  }
  for (const [index, track] of tracks.entries()) {
    const line = (from: Column, to: Column) => lines.push({ from, to, ...at(index), state: stateAt(track, to) })
    if (track.port) {
      boxes.push({ ...boxOf(3, at(index), track.port, [track], reasons), ...asked(track, track.port, reasons) })
      line(2, 3)
    }
    line(track.port ? 3 : track.address ? 2 : 1, 4)
    line(4, 5)
  }
  // Where there is no room for columns they are read in this order: a caller, an address, its ports.
  boxes.sort((one, other) => one.row - other.row || one.column - other.column)
  // A card that nobody calls by may be lost all the same.
  const through = tracks.length || !card?.loss ? tracks : [vpcTrack(card)]
  return { boxes, lines, card: boxOf(4, at(0, Math.max(1, tracks.length)), { title: words.card(number), notes: card ? notesOf(card) : [] }, through, reasons) }
}

function boxOf(column: Column, rows: Rows, { title, notes }: Place, tracks: readonly Track[], reasons: readonly Loss[]): Box {
  const state = stateOf(tracks, column)
  const here = tracks.find(({ loss }) => loss && columnOf(loss) === column)?.loss
  const word = words.states[state === 'answers' && column < 5 ? 'passes' : state]
  return { column, ...rows, title, notes, state, word, reason: isLost(state) ? reasonOf(here, reasons) : 0 }
}

/** A port says what came of asking it, also where packets to it are lost behind it. */
function asked({ loss }: Track, { answer }: Place, reasons: readonly Loss[]): Partial<Box> {
  if (answer === undefined || (loss && columnOf(loss) <= 3)) return {}
  if (!loss || answer === 'not asked' || answer === 'answers') return { word: texts.servers.path.answers[answer] }
  return { state: lossState(loss), word: texts.servers.path.answers[answer], reason: reasonOf(loss, reasons) }
}

function guestOf(
  { guest }: NetworkPath,
  title: string,
  { tracks, rows, machine, reasons }: { tracks: readonly Track[]; rows: number; machine: Loss | null; reasons: readonly Loss[] },
): Box {
  const told = guest.message || words.guest[guest.runs ? 'runs' : 'stopped']
  const box = boxOf(5, { row: 1, rows: Math.max(1, rows) }, { title, notes: rows || machine ? [told] : [told, words.noCard] }, tracks, reasons)
  return machine ? { ...box, state: 'lost', word: words.states.lost, reason: reasonOf(machine, reasons) } : box
}

function notesOf({ network, mac, lease, dropped }: Card): readonly string[] {
  const counts = Object.entries(dropped).filter(([, count]) => count > 0)
  return [network || texts.servers.path.cluster, mac, ...(network ? [] : [lease ? words.lease : words.noLease]), ...counts.map(([reason, count]) => words.dropped(count, reason))]
}

function columnOf(loss: Loss): Column {
  return DRAWN[loss.place] ?? 5
}

function lossState(loss: Loss): State {
  return isBoot(loss) ? 'waits' : 'lost'
}

function isLost(state: State): boolean {
  return state === 'lost' || state === 'waits'
}

function reasonOf(loss: Loss | null | undefined, reasons: readonly Loss[]): number {
  return reasons.findIndex((one) => one.message === loss?.message) + 1
}

/** How one way fares at a column, and on the line that ends there. */
function stateAt({ loss, isAnswered }: Track, column: Column): State {
  if (!loss) return isAnswered ? 'answers' : 'untried'
  const place = columnOf(loss)
  if (column === place) return lossState(loss)
  return column < place ? 'passes' : 'beyond'
}

/** How those fare at a column that come there: the best of them. */
function stateOf(tracks: readonly Track[], column: Column): State {
  const states = new Set(tracks.map((track) => stateAt(track, column)))
  return STATES.find((state) => states.has(state)) ?? 'untried'
}

/** Neighbours that have a key in common, each run with the place of its first. */
function runsOf(tracks: readonly Track[], keyOf: (track: Track) => unknown): readonly (readonly [number, Run])[] {
  const found: [number, [Track, ...Track[]]][] = []
  for (const [index, track] of tracks.entries()) {
    const last = found.at(-1)
    if (last && keyOf(last[1][0]) === keyOf(track)) last[1].push(track)
    else found.push([index, [track]])
  }
  return found
}
