/** The addresses of a page that is open: live, by Services and servers, of all namespaces or of the user's. */
import type { Api, Manifest } from '../../api/client'
import type { Follower, State } from '../../api/follow'
import { SERVERS, SERVICES, serversOf, servicesPath } from '../../api/kinds'
import { followSeen } from '../../api/seen'
import type { Service } from '../../api/service'
import type { VirtualServer } from '../../api/virtualserver'
import { holdings } from './holding'
import type { Holding } from './holding'

export class Addresses {
  found = $state.raw<readonly Holding[]>([])
  state = $state.raw<State>({ is: 'listing' })
  /** The only namespace that is shown; empty for all. */
  namespace = $state('')

  private readonly services = new Map<string, Service>()
  private readonly servers = new Map<string, VirtualServer>()
  private drawing = 0

  constructor(private readonly api: Api) {}

  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => cancelAnimationFrame(this.drawing))
    const { namespace } = this.api.session
    // Without the servers one sees the addresses, and not who has those that float.
    const servers = this.keeping(this.servers, () => undefined)
    void followSeen(this.api, { all: SERVERS, own: serversOf(namespace) }, servers, signal)
    const services = this.keeping(this.services, (state) => (this.state = state))
    await followSeen(this.api, { all: SERVICES, own: servicesPath(namespace) }, services, signal, () => (this.namespace = namespace))
  }

  private keeping<T extends Manifest>(known: Map<string, T>, state: (state: State) => void): Follower<T> {
    const put = (object: T) => {
      known.set(object.metadata.uid, object)
      this.draw()
    }
    return {
      all: (objects) => {
        known.clear()
        objects.forEach(put)
        this.draw()
      },
      put,
      gone: (object) => {
        known.delete(object.metadata.uid)
        this.draw()
      },
      state,
    }
  }

  private draw(): void {
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0
      this.found = holdings(this.services.values(), this.servers.values())
    })
  }
}
