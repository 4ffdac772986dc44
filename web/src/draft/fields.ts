/** Fields as the API names them (`spec.network.tcp.ports[0]`), and where a draft's text has them. */
import { isPair, isScalar, isSeq, visit } from 'yaml'

import type { Draft, Path } from './draft'
import { find, last } from './find'
import type { Entry } from './find'
import type { Span } from './secrets'

export function pathOf(field: string): (string | number)[] {
  const steps = field.matchAll(/\[(\d+)\]|\[([^\]]+)\]|([^.[\]]+)/g)
  return [...steps].map(([, index, key, name]) => (index === undefined ? (key ?? name ?? '') : Number(index)))
}

/** Where a path stands in the text: its key and value, or those of the nearest thing around it that is there. */
export function spanOf(draft: Draft, path: Path): Span {
  const { node, pair } = last(find(draft, path).way)
  if (pair) return { from: pair.key.range[0], to: Math.max(pair.key.range[1], lineBound(draft.text, node?.range[1] ?? 0, pair.key.range[1])) }
  return node ? { from: node.range[0], to: lineBound(draft.text, node.range[1], node.range[0]) } : { from: 0, to: 0 }
}

/** The path whose key is at an offset, and where that key stands; null where there is none. */
export function pathAt(draft: Draft, at: number): (Span & { readonly path: Path }) | null {
  let found: (Span & { readonly path: Path }) | null = null
  visit(draft.document, {
    Pair(_, pair, way) {
      const { key } = pair as unknown as Entry
      if (!isScalar(key) || !key.range || at < key.range[0] || at > key.range[1]) return undefined
      found = { from: key.range[0], to: key.range[1], path: [...stepsOf(way), String(key.value)] }
      return visit.BREAK
    },
  })
  return found
}

/** The steps to a node, by the nodes above it: keys of pairs, and numbers of items. */
function stepsOf(way: readonly unknown[]): (string | number)[] {
  return way.flatMap<string | number>((one, index) => {
    if (isPair(one)) return [String((one as unknown as Entry).key.value)]
    const next = way[index + 1]
    return isSeq(one) && next !== undefined ? [one.items.indexOf(next)] : []
  })
}

/** No further than the line that it begins on. */
function lineBound(text: string, end: number, start: number): number {
  const line = text.indexOf('\n', start)
  return line < 0 ? end : Math.min(end, line)
}
