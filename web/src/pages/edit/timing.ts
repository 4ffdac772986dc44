/** When a server that runs has what is changed of its manifest: pure. */
import { differences } from '../../draft'
import type { Path } from '../../draft'

export type When = 'now' | 'nextStart' | 'newMachine' | 'none' | 'refused' | 'unknown'

/** A field and when a change of it takes effect; `[]` in its path stands for each item of a list. */
export interface Effect {
  readonly path: string
  readonly effect: When
}

export interface Timed {
  readonly path: string
  readonly when: When
}

/** What differs, and when each has an effect. */
export function timed(effects: readonly Effect[], before: Record<string, unknown>, after: Record<string, unknown>): Timed[] {
  const isAttached = [before, after].map(directAttach)
  return differences(before, after).map(({ path }) => {
    const when = effectOf(effects, path)
    // The guest's own address is another one then, which it asks for when it starts.
    const moves = isAttached[0] !== isAttached[1] || (isAttached[0] && path.at(-1) === 'public')
    const isOfPorts = path[1] === 'network' && ['tcp', 'udp', 'public'].includes(String(path[2]))
    return { path: path.join('.'), when: when === 'now' && moves && isOfPorts ? 'nextStart' : when }
  })
}

/** The effect of a field: that of its own line, else of the nearest above it, else of all that are below it. */
function effectOf(effects: readonly Effect[], path: Path): When {
  const name = path.join('.')
  const above = effects.filter((one) => [one.path, ...ofList(one.path)].some((own) => name === own || name.startsWith(`${own}.`)))
  const nearest = above.reduce<Effect | null>((best, one) => (best && best.path.length >= one.path.length ? best : one), null)
  if (nearest) return nearest.effect
  const below = effects.filter((one) => one.path.startsWith(`${name}.`) || one.path.startsWith(`${name}[]`))
  const order: When[] = ['refused', 'newMachine', 'nextStart', 'now', 'none']
  return order.find((when) => below.some((one) => one.effect === when)) ?? 'unknown'
}

/** A list as a whole, of a field that stands for its items. */
function ofList(path: string): string[] {
  return path.endsWith('[]') ? [path.slice(0, -2)] : []
}

function directAttach(manifest: Record<string, unknown>): boolean {
  const spec = manifest['spec'] as { network?: { directAttachLoadBalancerIP?: unknown } } | undefined
  return spec?.network?.directAttachLoadBalancerIP === true
}
