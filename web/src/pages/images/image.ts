/** What lines say of images, and of disks that are being made: pure. */
import type { Manifest } from '../../api/client'
import type { Condition } from '../../api/virtualserver'

const DOMAIN = 'virtualservers.coreweave.com'
const ABANDONED = 'abandoned'
const GIB = 2 ** 30
const MIB = 2 ** 20

export interface Claim extends Manifest {
  readonly status?: { readonly phase?: string; readonly capacity?: { readonly storage?: string }; readonly conditions?: readonly Condition[] }
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
  /** Empty, as its size, where it is not made yet. */
  readonly digest: string
  readonly size: string
  /** Empty where it can be used, and where it is not made yet. */
  readonly waits: string
  /** Null where nobody makes it. */
  readonly step: Step | null
  /** What is said where whoever made it was killed; null where that is not so. */
  readonly abandoned: string | null
}

/** What is being done to make something. */
export interface Step {
  readonly words: string
  /** Of all that is to be done, from 0 to 1; null where nobody knows. */
  readonly share: number | null
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

/** What a claim says; null for one that is no image, and will be none. */
export function imageOf({ metadata, spec, status }: Claim): Image | null {
  const digest = metadata.annotations?.[`${DOMAIN}/image`] ?? ''
  const progress = metadata.annotations?.[`${DOMAIN}/image-progress`] ?? ''
  if (!digest && !progress) return null
  const isAbandoned = progress === ABANDONED
  const made = status?.conditions?.find((one) => one.type === `${DOMAIN}/ImageMade`)
  const size = status?.capacity?.storage ?? spec?.resources?.requests?.storage ?? ''
  return {
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    aliasOf: metadata.annotations?.[`${DOMAIN}/alias-of`] ?? '',
    digest,
    size: digest && sizeOf(size),
    waits: !digest || status?.phase === 'Bound' ? '' : (status?.phase ?? 'Pending'),
    step: progress && !isAbandoned ? stepOf(progress) : null,
    abandoned: isAbandoned ? (made?.message ?? '') : null,
  }
}

/** What is said of a step: `45% WORDS`, or its words alone. */
export function stepOf(progress: string): Step {
  const [, percent, words] = /^(\d{1,3})% (.*)$/s.exec(progress) ?? []
  return percent === undefined || words === undefined ? { words: progress, share: null } : { words, share: Math.min(Number(percent) / 100, 1) }
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
