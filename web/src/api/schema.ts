/** The schema of VirtualServers, as this API server has it. */
import { ofManifest } from '../schema/schema'
import type { Schema } from '../schema/schema'
import type { Api } from './client'

const PATH = '/openapi/v3/apis/virtualservers.coreweave.com/v1alpha1'

interface Document {
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema & { readonly 'x-kubernetes-group-version-kind'?: readonly { readonly kind: string }[] }>>
  }
}

const known = new WeakMap<Api, Promise<Schema>>()

/** What an API server says of them; it is asked once, and again where it did not answer. */
export function schemaOf(api: Api): Promise<Schema> {
  const before = known.get(api)
  if (before) return before
  const asked = ask(api)
  known.set(api, asked)
  asked.catch(() => known.delete(api))
  return asked
}

async function ask(api: Api): Promise<Schema> {
  const { components } = await api.get<Document>(PATH)
  const found = Object.values(components.schemas).find((one) =>
    one['x-kubernetes-group-version-kind']?.some(({ kind }) => kind === 'VirtualServer'),
  )
  return ofManifest(found ?? {})
}
