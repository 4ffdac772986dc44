/** All objects of one kind, as they are now and as they change: a list, and one watch that goes on from it. */
import { ApiError, REFUSED } from './client'
import type { Api, Manifest } from './client'

/** Where a following stands. */
export type State = { readonly is: 'listing' } | { readonly is: 'live' } | { readonly is: 'away' | 'refused'; readonly error: ApiError }

export interface Follower<T extends Manifest> {
  /** All there are; whatever was known before is not, unless it is among them. */
  all(objects: readonly T[]): void
  put(object: T): void
  gone(object: T): void
  state(state: State): void
}

interface List<T> {
  readonly items: readonly T[]
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
}

interface Event {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: Manifest & { readonly code?: number; readonly message?: string }
}

const PAGE = 500
const GONE = 410
const SHORTEST_MS = 500
const LONGEST_MS = 15_000

/**
 * Follow what a path lists, until the signal says to stop. What breaks off is taken up again, later each time.
 * A refusal (the user may not) ends it.
 */
export async function follow<T extends Manifest>(api: Api, path: string, follower: Follower<T>, signal: AbortSignal): Promise<void> {
  let version = ''
  let pause = SHORTEST_MS
  while (!signal.aborted) {
    try {
      if (!version) {
        follower.state({ is: 'listing' })
        const listed = await list<T>(api, path)
        if (signal.aborted) return
        follower.all(listed.items)
        version = listed.metadata.resourceVersion
      }
      version = await watch(api, path, version, follower, signal, () => (pause = SHORTEST_MS))
      await sleep(SHORTEST_MS, signal)
    } catch (caught) {
      if (signal.aborted) return
      const error = caught instanceof ApiError ? caught : new ApiError(String(caught), 0)
      if (error.status === GONE) version = ''
      else if (!error.isAway) return follower.state({ is: 'refused', error })
      else follower.state({ is: 'away', error })
      await sleep(pause * (0.75 + Math.random() / 2), signal)
      pause = Math.min(pause * 2, LONGEST_MS)
    }
  }
}

async function list<T>(api: Api, path: string): Promise<List<T>> {
  const items: T[] = []
  let next = ''
  for (;;) {
    const page = await api.get<List<T>>(`${asked(path)}limit=${PAGE}${next && `&continue=${encodeURIComponent(next)}`}`)
    items.push(...page.items)
    next = page.metadata.continue ?? ''
    if (!next) return { items, metadata: page.metadata }
  }
}

/** Watch until it ends, and return from where to go on. */
function watch<T extends Manifest>(
  api: Api,
  path: string,
  from: string,
  follower: Follower<T>,
  signal: AbortSignal,
  lives: () => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let version = from
    let isOpened = false
    // A browser has six connections to a host for all its pages, but websockets of their own.
    const socket = api.socket(`${asked(path)}watch=1&allowWatchBookmarks=true&resourceVersion=${from}`)
    const stop = () => socket.close()
    signal.addEventListener('abort', stop, { once: true })
    socket.onopen = () => {
      isOpened = true
      follower.state({ is: 'live' })
    }
    socket.onmessage = (message) => {
      const event = JSON.parse(String(message.data)) as Event
      lives()
      if (event.type === 'ERROR') {
        reject(new ApiError(event.object.message ?? '', event.object.code ?? 0))
        socket.close()
        return
      }
      version = event.object.metadata.resourceVersion
      if (event.type === 'DELETED') follower.gone(event.object as unknown as T)
      else if (event.type !== 'BOOKMARK') follower.put(event.object as unknown as T)
    }
    socket.onclose = (closed) => {
      signal.removeEventListener('abort', stop)
      if (closed.code >= REFUSED + 400) reject(new ApiError(closed.reason, closed.code - REFUSED))
      else if (closed.code === 1000 || signal.aborted) resolve(version)
      else {
        const lost = new ApiError(closed.reason, 0)
        // A browser does not say with which answer a websocket was refused: a request does, where the sign-in is over.
        if (isOpened) reject(lost)
        else api.get(`${asked(path)}limit=1`).then(() => reject(lost), reject)
      }
    }
  })
}

/** A path to which more may be said. */
function asked(path: string): string {
  return path + (path.includes('?') ? '&' : '?')
}

/** Wait, but no longer than until the signal says to stop. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
  })
}
