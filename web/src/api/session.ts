/** Who is signed in, and how a page shows that it is one of ours. */
export interface Session {
  /** The path below which this sign-in's requests go, without a slash at the end. */
  readonly base: string
  readonly token: string
  /** The API server's address. */
  readonly server: string
  /** The namespace that is meant where none is named. */
  readonly namespace: string
  /** The user's name, as the API says it. */
  readonly user: string
}

/** What a person calls a user: those whom `vs user add` made have a name of their own behind the API's. */
export function calledUser(user: string): string {
  return user.replace(/^system:serviceaccount:vs-users:/, '')
}

/** The session of this page's address; null where nobody is signed in there. */
export async function signedIn(path: string): Promise<Session | null> {
  const base = /^\/[0-9a-f]{32}(?=\/)/.exec(path)?.[0]
  if (!base) return null
  const answer = await fetch(`${base}/session`)
  if (answer.status === 401) return null
  if (!answer.ok) throw new Error(await answer.text())
  return { base, ...((await answer.json()) as Omit<Session, 'base'>) }
}

/** End the session, here and on the console's side. */
export async function signOut(session: Session): Promise<void> {
  await fetch(`${session.base}/session`, { method: 'DELETE', headers: { 'X-Console-Token': session.token } })
}

/** By what somebody may sign in here, besides a link. */
export interface Ways {
  readonly token: boolean
}

/** The ways in; none where the console does not say. */
export async function waysIn(): Promise<Ways> {
  const answer = await fetch('/sign-in').catch(() => null)
  return answer?.ok ? ((await answer.json()) as Ways) : { token: false }
}

/** Sign in with a token, and return the place of the session; the error says why not. */
export async function signInByToken(token: string): Promise<string> {
  const answer = await fetch('/sign-in/token', { method: 'POST', body: JSON.stringify({ token }) })
  if (!answer.ok) throw new Error(await answer.text())
  return ((await answer.json()) as { place: string }).place
}

/** The same page, of another session: where somebody goes on who signs in again. */
export function pathAt(place: string, path: string): string {
  return path.replace(/^\/(?:[0-9a-f]{32}\/)?/, `/${place}/`)
}
