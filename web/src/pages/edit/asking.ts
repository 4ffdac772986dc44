/** What is said between a text and the API: pure. */
import type { ApiError, Cause, Manifest } from '../../api/client'
import { parse, pathOf } from '../../draft'
import type { Draft, Path } from '../../draft'
import { texts } from '../../texts'
import { shown } from './shown'

/** Something that the API has against the text. */
export interface Fault extends Cause {
  readonly path: Path
}

/** The server that is edited, as it was read. */
export interface Origin {
  readonly namespace: string
  readonly name: string
  readonly version: string
  /** What it said then. */
  readonly value: Record<string, unknown>
}

export function originOf(server: Manifest, namespace: string, name: string): Origin {
  return { namespace, name, version: server.metadata.resourceVersion, value: parse(shown(server)).value }
}

/** The text of the one document that is meant. */
export function meant(draft: Draft): string {
  const range = draft.document?.range
  return draft.documents > 1 && range ? draft.text.slice(range[0], range[2]) : draft.text
}

export function faultsOf(error: ApiError): Fault[] {
  if (!error.causes.length) {
    const unknown = [...error.message.matchAll(/(unknown|duplicate) field "([^"]+)"/g)]
    if (unknown.length) return unknown.map(([, word = '', field = '']) => ({ field, message: texts.edit.strict(word), path: pathOf(field) }))
    return [{ field: '', message: error.message, path: [] }]
  }
  return error.causes.map((cause) => ({ ...cause, path: pathOf(cause.field) }))
}
