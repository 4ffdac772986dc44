/** A server as text to edit: what its owner may write, and nothing that the API keeps for itself. */
import { stringify } from 'yaml'

import type { Manifest } from '../../api/client'
import type { Path } from '../../draft'
import { isSecret } from '../../draft/secrets'
import { texts } from '../../texts'

/** What stands for a password. */
export const DOTS = '••••••••'

const KEPT_BY_API = ['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'managedFields', 'selfLink']

export function shown(server: Manifest): string {
  const { status: _, metadata, ...rest } = server as Manifest & { status?: unknown }
  const own = Object.fromEntries(Object.entries(metadata).filter(([key]) => !KEPT_BY_API.includes(key)))
  const { apiVersion, kind, ...others } = rest
  return stringify({ apiVersion, kind, metadata: own, ...others }, { version: '1.1', lineWidth: 0 })
}

/** Any object as text. */
export function written(object: Manifest): string {
  return stringify(object, { version: '1.1', lineWidth: 0 })
}

/** A value without the passwords in it, for showing where nobody asked for them. */
export function hidden(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hidden)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, isSecret(key) && one !== null && one !== undefined ? DOTS : hidden(one)]))
}

/** What stands at a path, in words that show no password. */
export function said(path: Path, value: unknown): string {
  if (value === undefined) return texts.edit.conflicts.nothing
  if (path.some(isSecret)) return DOTS
  return typeof value === 'string' ? value : JSON.stringify(hidden(value))
}

/** Texts as one, with marks between them. */
export function documents(texts: readonly string[]): string {
  return texts.join('---\n')
}

/** A command that applies a text, whatever is in it. */
export function kubectl(text: string): string {
  let end = 'EOF'
  while (text.split(/\r?\n/).includes(end)) end += '_'
  return `kubectl apply -f - <<'${end}'\n${text}${text.endsWith('\n') ? '' : '\n'}${end}\n`
}
