/** Requests to the Kubernetes API, as the signed-in user. */
import type { Session } from './session'

/** What the API says of one field. */
export interface Cause {
  /** Such as `spec.network.tcp.ports[0]`. */
  readonly field: string
  readonly message: string
}

/** So long a refusal holds: a role is given meanwhile, or the API server has yet to hear of one. */
export const REFUSED_MS = 15_000

/** The API refused, or did not answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** The HTTP status; 0 where nobody answered. */
    readonly status: number,
    readonly reason = '',
    readonly causes: readonly Cause[] = [],
  ) {
    super(message)
  }

  /** Whether it may be otherwise in a moment. */
  get isAway(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

export interface Metadata {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly creationTimestamp: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly deletionTimestamp?: string
}

/** An object as it travels. */
export interface Manifest {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: Metadata
}

/** What the program says in its own words. */
export interface Told {
  /** When a change of a field takes effect; `[]` in its path stands for each item of a list. */
  readonly effects: readonly { readonly path: string; readonly effect: 'now' | 'nextStart' | 'newMachine' | 'none' | 'refused' }[]
  /** What to do next, by the reason of a condition, with `{name}` and `{where}` in it. */
  readonly remedies: Readonly<Record<string, string>>
}

interface Status {
  readonly message?: string
  readonly reason?: string
  readonly details?: { readonly causes?: readonly { readonly field?: string; readonly message?: string }[] }
}

const SIGNED_OUT = 401

export const YAML = 'application/yaml'

export class Api {
  /** Is called where nobody is signed in any more. */
  ended: () => void = () => undefined

  private telling?: Promise<Told>

  constructor(readonly session: Session) {}

  async get<T>(path: string): Promise<T> {
    return (await (await this.send('GET', path)).json()) as T
  }

  /** What is there, null where nothing is. */
  async find<T>(path: string): Promise<T | null> {
    try {
      return await this.get<T>(path)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null
      throw error
    }
  }

  /**
   * Send a request, and return its answer.
   * @throws {ApiError} It was refused, or nobody answered.
   */
  async send(method: string, path: string, body?: string, type = 'application/json'): Promise<Response> {
    const headers: Record<string, string> = { ...this.shown, Accept: 'application/json' }
    if (body !== undefined) headers['Content-Type'] = type
    let answer: Response
    try {
      answer = await fetch(this.url(path), { method, headers, ...(body === undefined ? {} : { body }) })
    } catch (error) {
      throw new ApiError(String(error instanceof Error ? error.message : error), 0)
    }
    if (answer.status === SIGNED_OUT) this.ended()
    if (!answer.ok) throw await refused(answer)
    return answer
  }

  /** The objects that would be made of a manifest. */
  async planned(manifest: string): Promise<Manifest[]> {
    const answer = await fetch(`${this.session.base}/planned`, { method: 'POST', headers: this.shown, body: manifest })
    if (!answer.ok) throw new ApiError(await answer.text(), answer.status)
    return (await answer.json()) as Manifest[]
  }

  /** What the console itself tells pages: the same at all times, and asked for once. */
  told(): Promise<Told> {
    this.telling ??= fetch(`${this.session.base}/told`).then((answer) => answer.json() as Promise<Told>)
    return this.telling
  }

  /** A text that this user has begun and not saved; null where there is none. */
  async draft(name: string): Promise<string | null> {
    const answer = await fetch(this.draftUrl(name), { headers: this.shown })
    return answer.status === 200 ? await answer.text() : null
  }

  /** Keep a text that is not saved yet, in the console's memory and nowhere else; null forgets it. */
  async keep(name: string, text: string | null): Promise<void> {
    const method = text === null ? 'DELETE' : 'PUT'
    try {
      const answer = await fetch(this.draftUrl(name), { method, headers: this.shown, ...(text === null ? {} : { body: text }) })
      if (answer.status === SIGNED_OUT) this.ended()
    } catch {
      // The console is away: the page has the text, and keeps it again with its next change.
    }
  }

  /** A websocket of a protocol, where it has one; the API server may refuse it with a code of `REFUSED` and its HTTP status. */
  socket(path: string, ...protocols: readonly string[]): WebSocket {
    const url = new URL(this.url(path), location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    return new WebSocket(url, [...protocols, `console-token.${this.session.token}`])
  }

  private get shown(): Record<string, string> {
    return { 'X-Console-Token': this.session.token }
  }

  private draftUrl(name: string): string {
    return `${this.session.base}/drafts/${name}`
  }

  private url(path: string): string {
    return `${this.session.base}/k8s${path}`
  }
}

/** Added to an HTTP status: the code of a websocket that was refused. */
export const REFUSED = 4000

async function refused(answer: Response): Promise<ApiError> {
  const text = await answer.text()
  let status: Status = {}
  try {
    status = JSON.parse(text) as Status
  } catch {
    // The console's own words are plain text.
  }
  const causes = (status.details?.causes ?? []).map((one) => ({ field: one.field ?? '', message: one.message ?? '' }))
  return new ApiError(status.message ?? (text || answer.statusText), answer.status, status.reason, causes)
}
