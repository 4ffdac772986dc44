/** What the signed-in user may do, as the API itself says it; for each namespace asked once, or until it is allowed. */
import { SvelteMap } from 'svelte/reactivity'

import { REFUSED_MS } from './client'
import type { Api } from './client'
import type { Verb } from './kinds'

export type Ability = 'create' | 'update' | 'delete' | 'serial' | 'vnc' | 'reserve' | 'release' | Verb

interface Attributes {
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  readonly verb: string
}

/** So long after nobody answered the API is asked again. */
const AWAY_MS = 3000

const REVIEW = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
const SERVER = { group: 'virtualservers.coreweave.com', resource: 'virtualservers' }
const MACHINE = { group: 'subresources.kubevirt.io', resource: 'virtualmachines', verb: 'update' }

/** What keeps an address by itself. */
const SERVICE = { group: '', resource: 'services' }

const GUEST = { group: 'subresources.kubevirt.io', resource: 'virtualmachineinstances', verb: 'get' }

const ASKED: Readonly<Record<Ability, Attributes>> = {
  create: { ...SERVER, verb: 'create' },
  update: { ...SERVER, verb: 'update' },
  delete: { ...SERVER, verb: 'delete' },
  start: { ...MACHINE, subresource: 'start' },
  stop: { ...MACHINE, subresource: 'stop' },
  force: { ...MACHINE, subresource: 'stop' },
  restart: { ...MACHINE, subresource: 'restart' },
  pause: { ...GUEST, verb: 'update', subresource: 'pause' },
  unpause: { ...GUEST, verb: 'update', subresource: 'unpause' },
  serial: { ...GUEST, subresource: 'console' },
  vnc: { ...GUEST, subresource: 'vnc' },
  reserve: { ...SERVICE, verb: 'create' },
  release: { ...SERVICE, verb: 'delete' },
}

export class Rights {
  private readonly known = new SvelteMap<string, boolean>()
  private readonly asked = new Set<string>()

  constructor(private readonly api: Api) {}

  /** Whether the user may; false until the API has said so. */
  may(ability: Ability, namespace: string): boolean {
    const key = `${namespace}/${ability}`
    if (!this.asked.has(key)) {
      this.asked.add(key)
      void this.ask(key, { ...ASKED[ability], namespace })
    }
    return this.known.get(key) ?? false
  }

  private async ask(key: string, resourceAttributes: Attributes & { namespace: string }): Promise<void> {
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } }
    let allowed = false
    let holds = REFUSED_MS
    try {
      const answer = await this.api.send('POST', REVIEW, JSON.stringify(review))
      allowed = ((await answer.json()) as { status: { allowed: boolean } }).status.allowed
    } catch {
      // The API is away, and refuses what is tried meanwhile itself.
      holds = AWAY_MS
    }
    this.known.set(key, allowed)
    if (!allowed) setTimeout(() => this.forget(key), holds)
  }

  /** Have it asked again by what still shows it. */
  private forget(key: string): void {
    this.asked.delete(key)
    this.known.delete(key)
  }
}
