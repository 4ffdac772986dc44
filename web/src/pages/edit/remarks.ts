/** What speaks against a text that the API would take. */
import type { Api, Manifest } from '../../api/client'
import { poolsOf, servicesPath } from '../../api/kinds'
import { isEmpty, isSpent } from '../../api/pools'
import type { Pool } from '../../api/pools'
import { addressesOf, poolOf } from '../../api/service'
import type { Service } from '../../api/service'
import { texts } from '../../texts'
import type { Editing } from './editing.svelte'
import { list } from './network'

/** What of a user lets somebody log in. */
const KEYS = ['password', 'passwordSecretRef', 'sshpublickey', 'sshPublicKeysSecretRef']

/** Whether a manifest lets nobody log in to its guest. What cloud-init does there is not known. */
export function isClosed(editing: Pick<Editing, 'at'>): boolean {
  if (editing.at(['spec', 'cloudInit']) || editing.at(['spec', 'cloudInitSecretRef'])) return false
  return !list(editing.at(['spec', 'users'])).some((user) => KEYS.some((key) => (user as Record<string, unknown> | null)?.[key]))
}

/**
 * Why what is planned would wait for an address: its pool has none to give. Nothing, where that cannot be told.
 * @param namespace Of the server.
 */
export async function waits(api: Pick<Api, 'get' | 'find'>, namespace: string, planned: readonly Manifest[]): Promise<string[]> {
  const services = (planned as readonly Service[]).filter((one) => one.spec?.type === 'LoadBalancer')
  if (!services.length) return []
  // Another cluster has no pools, and who may not see them is told nothing.
  const { items } = await api.get<{ items: readonly Pool[] }>(poolsOf(namespace)).catch(() => ({ items: [] }))
  const waiting = items.filter((pool) => isEmpty(pool) || isSpent(pool))
  const held = await Promise.all(services.map((one) => (waiting.some((pool) => poolOf(one) === pool.metadata.name) ? holds(api, namespace, one) : true)))
  return waiting.filter((pool) => services.some((one, index) => !held[index] && poolOf(one) === pool.metadata.name)).map(({ metadata, status }) => texts.edit.waits(metadata.name, status.free ? status.quota : undefined))
}

/** Whether a planned Service is there already, with an address of that pool. */
async function holds(api: Pick<Api, 'find'>, namespace: string, planned: Service): Promise<boolean> {
  const service = await api.find<Service>(`${servicesPath(namespace)}/${encodeURIComponent(planned.metadata.name)}`).catch(() => null)
  return service !== null && addressesOf(service).length > 0 && poolOf(service) === poolOf(planned)
}
