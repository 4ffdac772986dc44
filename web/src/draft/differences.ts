/** What two versions of a manifest say differently, and what is to be done about it in a draft. */
import { apply } from './change'
import { parse, read } from './draft'
import type { Path } from './draft'
import { isRecord } from './print'
import { remove } from './remove'
import { write } from './write'

/** A field that is not what it was; undefined where it is not there. */
export interface Difference {
  readonly path: Path
  readonly before: unknown
  readonly after: unknown
}

/** The fields in which two values differ; a list is one field, since its items have no names. */
export function differences(before: unknown, after: unknown, path: Path = []): Difference[] {
  if (isRecord(before) && isRecord(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys.flatMap((key) => differences(before[key], after[key], [...path, key]))
  }
  return isSame(before, after) ? [] : [{ path, before, after }]
}

/** A field that somebody else has changed, beside what it is in the draft. */
export interface Theirs extends Difference {
  readonly mine: unknown
  /** Whether both changed it, to different values. */
  readonly isContested: boolean
}

/**
 * What somebody else has changed meanwhile and the draft does not say.
 * @param base What both began with.
 */
export function theirs(base: unknown, theirs: unknown, mine: Record<string, unknown>): Theirs[] {
  const changed = differences(base, theirs).map((one) => {
    const own = one.path.reduce<unknown>((value, step) => (isRecord(value) ? value[step] : undefined), mine)
    return { ...one, mine: own, isContested: !isSame(own, one.before) }
  })
  return changed.filter((one) => !isSame(one.mine, one.after))
}

/** A text with a field as somebody else has it. */
export function take(text: string, { path, after }: Difference): string {
  const draft = parse(text)
  if (read(draft, path) === undefined && after === undefined) return text
  return apply(text, after === undefined ? remove(draft, path) : write(draft, path, after))
}

function isSame(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(sortedKeys(one)) === JSON.stringify(sortedKeys(other))
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys)
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sortedKeys(value[key])]))
}
