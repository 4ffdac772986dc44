/**
 * The line to a guest's console: waits until there is a guest, connects, and connects again after a restart.
 *
 * A console serves one client, and a new one takes it over: who lost it to another does not take it back by itself. The
 * node ends the former client's line in order (1000), or refuses it (409) where it was still on its way; every other end
 * is a fault on the way, after which it is tried again. So two windows do not take it from each other in turns.
 */
import { REFUSED } from '../../api/client'
import type { Api, Manifest } from '../../api/client'
import { follow } from '../../api/follow'
import type { State } from '../../api/follow'
import { consolePath, instancePath } from '../../api/kinds'
import { texts } from '../../texts'

export type Screen = 'serial' | 'vnc'

/** How it stands, in words where it is not connected. */
export interface Standing {
  readonly is: 'waiting' | 'open' | 'taken' | 'refused'
  readonly why: string
}

interface Instance extends Manifest {
  readonly status?: { readonly phase?: string }
}

const PROTOCOL = 'plain.kubevirt.io'
/** So long after its end a console is still its guest's: a restart shows by then. */
const DOUBT_MS = 3000
/** After a fault it is tried again so much later, each time later still. */
const SHORTEST_MS = 1000
const LONGEST_MS = 15_000

const IN_ORDER = 1000
const SIGNED_OUT = 401
const FORBIDDEN = 403
const CONFLICT = 409

export class Line {
  private socket: WebSocket | null = null
  /** The guest that runs, by its UID; empty for none. */
  private running = ''
  /** What the guest is doing, as its instance says it; empty for none. */
  private phase = ''
  /** The guest whose console is not opened by itself, since it was lost while it ran: for good, or for a pause. */
  private lost = ''
  private later?: ReturnType<typeof setTimeout>
  private pause = SHORTEST_MS
  /** Whether nothing is tried any more: the window is left, or the API refuses to say what the guest does. */
  private isOver = false

  /**
   * Not connected yet.
   * @param connect Takes a socket that is about to open.
   */
  constructor(
    private readonly api: Api,
    private readonly server: { readonly namespace: string; readonly name: string; readonly screen: Screen },
    private readonly connect: (socket: WebSocket) => void,
    private readonly stands: (standing: Standing) => void,
  ) {}

  /** Keep it up until the signal says to stop. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.hangUp())
    const { namespace, name } = this.server
    const guest = (instance: Instance | undefined) => this.look(instance)
    await follow<Instance>(
      this.api,
      instancePath(namespace, name),
      { all: (instances) => guest(instances[0]), put: guest, gone: () => guest(undefined), state: (state) => this.tell(state) },
      signal,
    )
  }

  /** Take the console, from whoever has it. */
  again(): void {
    clearTimeout(this.later)
    this.lost = ''
    this.open()
  }

  private look(instance: Instance | undefined): void {
    this.phase = instance?.status?.phase ?? ''
    this.running = instance && this.phase === 'Running' ? instance.metadata.uid : ''
    if (!this.running) {
      clearTimeout(this.later)
      this.lost = ''
      this.waits()
    } else if (!this.socket && this.running !== this.lost) this.open()
  }

  /** Connect with the guest that runs; one that was restarted is another. */
  private open(): void {
    if (this.socket || !this.running || this.isOver) return
    const { namespace, name, screen } = this.server
    const socket = this.api.socket(consolePath(namespace, name, screen === 'serial' ? 'console' : 'vnc'), PROTOCOL)
    socket.binaryType = 'arraybuffer'
    const guest = this.running
    socket.addEventListener('open', () => this.stands({ is: 'open', why: '' }))
    // One that is refused opens too, to say so.
    socket.addEventListener('message', () => (this.pause = SHORTEST_MS))
    socket.addEventListener('close', (closed) => this.ended(guest, closed))
    this.socket = socket
    this.connect(socket)
  }

  private ended(guest: string, closed: { readonly code: number; readonly reason: string }): void {
    this.socket = null
    if (this.isOver) return
    const status = Math.max(0, closed.code - REFUSED)
    if (status === SIGNED_OUT || status === FORBIDDEN) {
      this.lost = guest
      return this.stands({ is: 'refused', why: closed.reason || texts.mayNot })
    }
    if (!this.running) return this.waits()
    if (this.running !== guest) return this.open()
    this.lost = guest
    clearTimeout(this.later)
    if (closed.code === IN_ORDER || status === CONFLICT) this.doubt(guest)
    else this.tryLater(closed.reason || (status ? `HTTP ${status}` : ''))
  }

  /** The guest has ended, or somebody else has taken its console. */
  private doubt(guest: string): void {
    this.stands({ is: 'waiting', why: texts.terminal.ended })
    // After a restart another guest runs by then, or none.
    this.later = setTimeout(() => {
      if (this.running === guest && !this.socket) this.stands({ is: 'taken', why: texts.terminal.taken })
    }, DOUBT_MS)
  }

  private tryLater(why: string): void {
    this.stands({ is: 'waiting', why: texts.terminal.broken(why) })
    this.later = setTimeout(() => this.again(), this.pause * (0.75 + Math.random() / 2))
    this.pause = Math.min(this.pause * 2, LONGEST_MS)
  }

  private waits(): void {
    if (!this.socket) this.stands({ is: 'waiting', why: texts.terminal.waits(this.server.name, this.phase) })
  }

  private tell(state: State): void {
    if (state.is === 'refused') {
      this.isOver = true
      clearTimeout(this.later)
      this.stands({ is: 'refused', why: state.error.message })
    }
    if (state.is === 'live' && !this.running) this.waits()
    // What was said of a console that was lost stays, with the way to take it back.
    if (state.is === 'away' && !this.socket && !this.lost) this.stands({ is: 'waiting', why: texts.away(state.error.message) })
  }

  private hangUp(): void {
    this.isOver = true
    clearTimeout(this.later)
    this.socket?.close()
  }
}
