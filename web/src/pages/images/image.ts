/** What lines say of images, and of disks that are being made: pure. */
import type { Manifest } from '../../api/client'
import type { Condition } from '../../api/virtualserver'

const DOMAIN = 'virtualservers.coreweave.com'
const GIB = 2 ** 30
const MIB = 2 ** 20

export interface Claim extends Manifest {
  readonly status?: { readonly phase?: string; readonly capacity?: { readonly storage?: string } }
  readonly spec?: { readonly resources?: { readonly requests?: { readonly storage?: string } } }
}

export interface Volume extends Manifest {
  readonly spec?: { readonly source?: { readonly pvc?: { readonly namespace?: string; readonly name?: string } } }
  readonly status?: { readonly phase?: string; readonly progress?: string; readonly conditions?: readonly Condition[] }
}

export interface Image {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  /** NAMESPACE/NAME of the image that it is another name of; empty for an image's own. */
  readonly aliasOf: string
  readonly digest: string
  readonly size: string
  /** Empty where it can be used. */
  readonly waits: string
}

export interface Making {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  /** What it is a copy of; empty for an empty disk. */
  readonly source: string
  readonly phase: string
  /** From 0 to 1; null where nobody knows. */
  readonly share: number | null
  readonly message: string
}

/** What a claim says; null for one that is no image. */
export function imageOf({ metadata, spec, status }: Claim): Image | null {
  const digest = metadata.annotations?.[`${DOMAIN}/image`]
  if (digest === undefined) return null
  const size = status?.capacity?.storage ?? spec?.resources?.requests?.storage ?? ''
  return {
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    aliasOf: metadata.annotations?.[`${DOMAIN}/alias-of`] ?? '',
    digest,
    size: sizeOf(size),
    waits: status?.phase === 'Bound' ? '' : (status?.phase ?? 'Pending'),
  }
}

/** What a DataVolume says; null for one whose disk is there. */
export function makingOf({ metadata, spec, status }: Volume): Making | null {
  const phase = status?.phase ?? 'Pending'
  if (phase === 'Succeeded' || metadata.deletionTimestamp) return null
  const source = spec?.source?.pvc
  const percent = Number.parseFloat(status?.progress ?? '')
  return {
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    source: source ? `${source.namespace ?? metadata.namespace ?? ''}/${source.name ?? ''}` : '',
    phase,
    share: Number.isNaN(percent) ? null : percent / 100,
    message: status?.conditions?.find((one) => one.type === 'Ready')?.message ?? '',
  }
}

/** A size as people read it; what is no number of bytes, as it is. */
export function sizeOf(size: string): string {
  if (!/^\d+$/.test(size)) return size
  const bytes = Number(size)
  const [word, unit] = bytes >= GIB ? ['Gi', GIB] : ['Mi', MIB]
  return `${Math.round((bytes / unit) * 10) / 10}${word}`
}

export function byPlace(one: { readonly namespace: string; readonly name: string }, other: { readonly namespace: string; readonly name: string }): number {
  return one.namespace.localeCompare(other.namespace) || one.name.localeCompare(other.name)
}
