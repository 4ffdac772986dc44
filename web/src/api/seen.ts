/** All objects of a kind that the user may see: of every namespace, or of the own one where that is refused. */
import type { Api, Manifest } from './client'
import { follow } from './follow'
import type { Follower, State } from './follow'

const FORBIDDEN = 403

export interface Paths {
  readonly all: string
  /** Those of the user's namespace. */
  readonly own: string
}

/**
 * Follow them until the signal says to stop.
 * @param narrows Is called where only the own namespace is seen.
 */
export async function followSeen<T extends Manifest>(
  api: Api,
  paths: Paths,
  follower: Follower<T>,
  signal: AbortSignal,
  narrows: () => void = () => undefined,
): Promise<void> {
  let isNarrow = false
  const state = (now: State) => {
    isNarrow = now.is === 'refused' && now.error.status === FORBIDDEN
    if (!isNarrow) follower.state(now)
  }
  await follow(api, paths.all, { ...follower, state }, signal)
  if (!isNarrow) return
  narrows()
  await follow(api, paths.own, follower, signal)
}
