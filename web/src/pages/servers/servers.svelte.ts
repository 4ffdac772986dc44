/** The servers of a page that is open: live, and drawn at most once a frame. */
import type { Api } from '../../api/client'
import type { State } from '../../api/follow'
import { SERVERS, serversOf } from '../../api/kinds'
import { followSeen } from '../../api/seen'
import type { VirtualServer } from '../../api/virtualserver'
import { matches, rowOf, wordsOf } from './row'
import type { Row, StateName } from './row'
import { sorted } from './sort'
import type { Order } from './sort'

export class Servers {
  rows = $state.raw<readonly Row[]>([])
  state = $state.raw<State>({ is: 'listing' })
  /** The only namespace that is shown; empty for all. */
  namespace = $state('')
  search = $state('')
  /** The only state that is shown; empty for all. */
  only = $state<StateName | ''>('')
  order = $state.raw<Order>({ column: 'name', isDown: false })
  private readonly ordered: readonly Row[] = $derived(sorted(this.rows, this.order))
  /** What is shown, in the order in which it is. */
  readonly found: readonly Row[] = $derived(
    this.ordered.filter((row) => (!this.only || row.state === this.only) && matches(row, this.words)),
  )
  private readonly words: readonly string[] = $derived(wordsOf(this.search))
  /** Whether the servers were listed at least once. */
  isKnown = $state(false)

  private readonly known = new Map<string, Row>()
  private drawing = 0

  constructor(private readonly api: Api) {}

  /** Follow them until the signal says to stop: all that there are, or those of the user's namespace. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => cancelAnimationFrame(this.drawing))
    const { namespace } = this.api.session
    const follower = {
      all: (servers: readonly VirtualServer[]) => {
        this.known.clear()
        for (const server of servers) this.known.set(server.metadata.uid, rowOf(server))
        this.isKnown = true
        this.draw()
      },
      put: (server: VirtualServer) => {
        this.known.set(server.metadata.uid, rowOf(server))
        this.draw()
      },
      gone: (server: VirtualServer) => {
        this.known.delete(server.metadata.uid)
        this.draw()
      },
      state: (state: State) => (this.state = state),
    }
    await followSeen(this.api, { all: SERVERS, own: serversOf(namespace) }, follower, signal, () => (this.namespace = namespace))
  }

  private draw(): void {
    if (this.drawing) return
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0
      this.rows = [...this.known.values()]
    })
  }
}
