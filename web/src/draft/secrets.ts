/** Where a draft's text has what nobody should read over a shoulder. */
import { isMap, isScalar, isSeq } from 'yaml'

import type { Draft } from './draft'
import { LAST_APPLIED } from './lastApplied'

export interface Span {
  readonly from: number
  readonly to: number
}

/** The passwords of `spec.users`, and where kubectl repeats them, as they are written. */
export function secrets(draft: Draft): Span[] {
  if (draft.faults.length) return likely(draft.text)
  const users: unknown = draft.document?.getIn(['spec', 'users'])
  const passwords: unknown[] = isSeq(users) ? users.items.map((user) => (isMap(user) ? user.get('password', true) : null)) : []
  const repeated: unknown = draft.document?.getIn(['metadata', 'annotations', LAST_APPLIED], true)
  return [repeated, ...passwords].flatMap((node) =>
    isScalar(node) && node.range && node.range[1] > node.range[0] ? [{ from: node.range[0], to: node.range[1] }] : [],
  )
}

/** What looks like one, in a text that cannot be read. */
function likely(text: string): Span[] {
  return [...text.matchAll(/\bpassword["']?:[ \t]*([^\s,}][^\n,}]*)/g)].map((found) => {
    const to = found.index + found[0].length
    return { from: to - (found[1]?.length ?? 0), to }
  })
}
