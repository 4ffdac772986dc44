/**
 * The line to a guest's console: waits until there is a guest, connects, and connects again after a restart.
 *
 * A console serves one client, and a new one takes it over: who lost it to another does not take it back by itself.
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

export class Line {
  private socket: WebSocket | null = null
  /** The guest that runs, by its UID; empty for none. */
  private running = ''
  /** What the guest is doing, as its instance says it; empty for none. */
  private phase = ''
  /** The guest whose console was lost while it ran. */
  private lost = ''
  private doubt?: ReturnType<typeof setTimeout>

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
    this.lost = ''
    this.open()
  }

  private look(instance: Instance | undefined): void {
    this.phase = instance?.status?.phase ?? ''
    this.running = instance && this.phase === 'Running' ? instance.metadata.uid : ''
    if (!this.running) {
      clearTimeout(this.doubt)
      this.lost = ''
      if (!this.socket) this.waits()
    } else if (!this.socket && this.running !== this.lost) this.open()
  }

  /** Connect with the guest that runs; one that was restarted is another. */
  private open(): void {
    if (this.socket || !this.running) return
    const { namespace, name, screen } = this.server
    const socket = this.api.socket(consolePath(namespace, name, screen === 'serial' ? 'console' : 'vnc'), PROTOCOL)
    socket.binaryType = 'arraybuffer'
    const guest = this.running
    socket.addEventListener('open', () => this.stands({ is: 'open', why: '' }))
    socket.addEventListener('close', (closed) => this.ended(guest, closed))
    this.socket = socket
    this.connect(socket)
  }

  private ended(guest: string, closed: { readonly code: number; readonly reason: string }): void {
    this.socket = null
    this.lost = guest
    const status = closed.code - REFUSED
    if (status === 401 || status === 403) return this.stands({ is: 'refused', why: closed.reason || texts.mayNot })
    if (!this.running) return this.waits()
    if (this.running !== guest) return this.open()
    this.stands({ is: 'waiting', why: texts.terminal.ended })
    clearTimeout(this.doubt)
    // After a restart another guest runs by then, or none.
    this.doubt = setTimeout(() => {
      if (this.running === guest && !this.socket) this.stands({ is: 'taken', why: texts.terminal.taken })
    }, DOUBT_MS)
  }

  private waits(): void {
    this.stands({ is: 'waiting', why: texts.terminal.waits(this.server.name, this.phase) })
  }

  private tell(state: State): void {
    if (state.is === 'refused') this.stands({ is: 'refused', why: state.error.message })
    if (state.is === 'away' && !this.socket) this.stands({ is: 'waiting', why: texts.away(state.error.message) })
  }

  private hangUp(): void {
    clearTimeout(this.doubt)
    this.socket?.close()
  }
}
