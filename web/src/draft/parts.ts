/** The documents of a text, each as it is written. */
import { isMap, parseAllDocuments } from 'yaml'

import { OPTIONS } from './draft'
import type { Draft } from './draft'

export interface Part {
  /** What is between its marks. */
  readonly text: string
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace: string
  /** Whether it is the one that the form shows. */
  readonly isMeant: boolean
}

/** The documents that say something, in their order. */
export function partsOf(draft: Draft): Part[] {
  const meantAt = draft.document?.range[0]
  return [...parseAllDocuments(draft.text, OPTIONS)].flatMap((document) => {
    if (!isMap(document.contents)) return []
    const said = (...path: string[]) => {
      const value: unknown = document.getIn(path)
      return typeof value === 'string' ? value : ''
    }
    const [from = 0, , to = draft.text.length] = document.range ?? []
    return [
      {
        text: draft.text.slice(from, to),
        apiVersion: said('apiVersion'),
        kind: said('kind'),
        name: said('metadata', 'name'),
        namespace: said('metadata', 'namespace'),
        isMeant: from === meantAt,
      },
    ]
  })
}
