/** How a draft's text is laid out, so that what a form adds looks like what its owner wrote. */
import { isMap, isPair, isScalar, isSeq, visit } from 'yaml'

import type { Draft } from './draft'
import { column, commentBehind, lineBreak } from './lines'
import type { Style } from './print'

/**
 * The style of what is put behind the line of an offset.
 * @param indent The column of the key that gets it.
 */
export function styleOf(draft: Draft, at: number, indent: number): Style {
  let step = 0
  let listStep = -1
  visit(draft.document, {
    Pair(_, pair) {
      if (!isPair(pair) || !isScalar(pair.key) || !pair.key.range) return undefined
      const outer = column(draft.text, pair.key.range[0])
      const value = pair.value
      if (!(isMap(value) || isSeq(value)) || value.flow || !value.range) return undefined
      const inner = column(draft.text, value.range[0]) - outer
      if (isMap(value) && !step) step = inner
      if (isSeq(value) && listStep < 0) listStep = inner
      return step && listStep >= 0 ? visit.BREAK : undefined
    },
  })
  return { step: step || 2, listStep: listStep < 0 ? step || 2 : listStep, lineBreak: lineBreak(draft.text), hasBlocks: commentBehind(draft.text, at) <= indent }
}
