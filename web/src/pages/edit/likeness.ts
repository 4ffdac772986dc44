/** A server as the text of another one: pure. */
import { stringify } from 'yaml'

import type { Manifest } from '../../api/client'
import type { Schema } from '../../schema/schema'

interface Spec {
  network?: { macAddress?: string; floatingIPs?: unknown }
  firmware?: unknown
  storage?: { root?: { source?: unknown }; additionalDisks?: readonly Disk[] }
}

interface Disk {
  readonly spec?: Readonly<Record<string, unknown>>
}

/** Disks that one server alone writes to. */
const OF_ONE = ['dataVolume', 'persistentVolumeClaim', 'hostDisk']

/**
 * A text that says what a server has: with a name of its own, and nothing that is one server's alone.
 * @param schema What the API fills in by it is left out.
 */
export function likeness(server: Manifest, schema: Schema): string {
  return written(server, schema, () => undefined)
}

/**
 * A likeness that starts from a copy of the server's root disk. Floating addresses and disks of claims stay with the
 * server: two that have them are in each other's way.
 */
export function clone(server: Manifest, schema: Schema): string {
  const { namespace, name } = server.metadata
  return written(server, schema, (spec) => {
    delete spec.network?.floatingIPs
    const { storage } = spec
    if (!storage?.root) return
    storage.root.source = { pvc: { namespace, name } }
    const disks = storage.additionalDisks?.filter((disk) => !OF_ONE.some((kind) => kind in (disk.spec ?? {})))
    if (disks?.length) storage.additionalDisks = disks
    else delete storage.additionalDisks
  })
}

function written(server: Manifest, schema: Schema, change: (spec: Spec) => void): string {
  const { labels, namespace, name } = server.metadata
  const spec = structuredClone((server as Manifest & { spec?: Spec }).spec ?? {})
  // Two servers of one MAC address or serial number would be in each other's way.
  delete spec.network?.macAddress
  delete spec.firmware
  change(spec)
  const metadata = { name: `${name}-2`, namespace, ...(labels ? { labels } : {}) }
  const own = withoutDefaults(spec, schema.properties?.['spec'] ?? {})
  return stringify({ apiVersion: server.apiVersion, kind: server.kind, metadata, spec: own }, { version: '1.1', lineWidth: 0 })
}

/** A value without the fields that the API would fill in with the same. */
export function withoutDefaults(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value)) return value.map((one) => withoutDefaults(one, schema.items ?? {}))
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).map(([key, one]) => [key, one, schema.properties?.[key] ?? {}] as const)
  return Object.fromEntries(fields.filter(([, one, field]) => one !== field.default).map(([key, one, field]) => [key, withoutDefaults(one, field)]))
}
