/** What a line of the events says: pure. */
import type { Manifest } from '../../api/client'

export interface EventObject extends Manifest {
  readonly type?: string
  readonly reason?: string
  readonly message?: string
  readonly note?: string
  readonly count?: number
  readonly lastTimestamp?: string | null
  readonly eventTime?: string | null
  readonly involvedObject?: { readonly kind?: string; readonly name?: string }
}

export interface Happening {
  readonly uid: string
  readonly namespace: string
  /** When it was last, to the second, in UTC. */
  readonly time: string
  readonly about: string
  readonly reason: string
  readonly message: string
  readonly count: number
  readonly isWarning: boolean
  /** What a search looks in, in lower case. */
  readonly words: string
}

export function happeningOf(event: EventObject): Happening {
  const { metadata, involvedObject = {} } = event
  const time = event.lastTimestamp ?? event.eventTime ?? metadata.creationTimestamp
  const said = {
    namespace: metadata.namespace ?? '',
    about: `${involvedObject.kind ?? ''} ${involvedObject.name ?? ''}`.trim(),
    reason: event.reason ?? '',
    message: event.message ?? event.note ?? '',
  }
  return {
    ...said,
    uid: metadata.uid,
    time: time.slice(0, 19).replace('T', ' '),
    count: event.count ?? 1,
    isWarning: event.type === 'Warning',
    words: Object.values(said).join(' ').toLowerCase(),
  }
}

/** The latest first. */
export function latest(happenings: Iterable<Happening>): Happening[] {
  return [...happenings].sort((one, other) => (one.time < other.time ? 1 : one.time > other.time ? -1 : 0))
}
