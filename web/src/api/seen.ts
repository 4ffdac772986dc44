/** All objects of a kind that the user may see: of every namespace, or of the own one where that is refused. */
import { REFUSED_MS } from './client'
import type { Api, Manifest } from './client'
import { follow, sleep } from './follow'
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
  let last: State = { is: 'listing' }
  const told = (isShown: (now: State) => boolean) => (now: State) => {
    last = now
    if (isShown(now)) follower.state(now)
  }
  await follow(api, paths.all, { ...follower, state: told((now) => !isForbidden(now)) }, signal)
  if (isForbidden(last)) narrows()
  let isAgain = false
  while (isForbidden(last) && !signal.aborted) {
    if (isAgain) await sleep(REFUSED_MS, signal)
    // What is refused stays said while it is asked for again.
    const isShown = isAgain ? (now: State) => now.is !== 'listing' : () => true
    await follow(api, paths.own, { ...follower, state: told(isShown) }, signal)
    isAgain = true
  }
}

function isForbidden(state: State): boolean {
  return state.is === 'refused' && state.error.status === FORBIDDEN
}
