/** Where a draft's text has what nobody should read over a shoulder. */
import { isMap, isScalar, isSeq } from 'yaml'

import type { Draft } from './draft'

export interface Span {
  readonly from: number
  readonly to: number
}

/** The passwords of `spec.users`, as they are written. */
export function secrets(draft: Draft): Span[] {
  const users: unknown = draft.document?.getIn(['spec', 'users'])
  if (draft.faults.length || !isSeq(users)) return []
  return users.items.flatMap((user) => {
    const password: unknown = isMap(user) ? user.get('password', true) : null
    return isScalar(password) && password.range && password.range[1] > password.range[0]
      ? [{ from: password.range[0], to: password.range[1] }]
      : []
  })
}
