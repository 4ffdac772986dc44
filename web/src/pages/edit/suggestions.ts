/** Names that a form suggests: what there is, as far as the user may see it. Anything else may be typed all the same. */
import type { Api, Manifest } from '../../api/client'
import { IMAGES, serversOf } from '../../api/kinds'

export interface Suggestions {
  readonly images: readonly string[]
  readonly vpcs: readonly string[]
  /** Services whose address may float to a server. */
  readonly services: readonly string[]
  /** Servers whose manifest may be taken over. */
  readonly servers: readonly string[]
}

/** So many servers are suggested: a namespace may have thousands. */
const MOST = 500

interface Service extends Manifest {
  readonly spec?: { readonly type?: string; readonly selector?: object }
}

const IMAGE = 'virtualservers.coreweave.com/image'

export async function suggestions(api: Api, namespace: string): Promise<Suggestions> {
  const own = encodeURIComponent(namespace)
  const [images, vpcs, services, servers] = await Promise.all([
    list<Manifest>(api, IMAGES),
    list<Manifest>(api, `/apis/k8s.cni.cncf.io/v1/namespaces/${own}/network-attachment-definitions`),
    list<Service>(api, `/api/v1/namespaces/${own}/services`),
    list<Manifest>(api, `${serversOf(namespace)}?limit=${MOST}`),
  ])
  return {
    images: named(images.filter((one) => IMAGE in (one.metadata.annotations ?? {}))),
    vpcs: named(vpcs),
    services: named(services.filter((one) => one.spec?.type === 'LoadBalancer' && !Object.keys(one.spec.selector ?? {}).length)),
    servers: named(servers),
  }
}

/** What a path lists; nothing where the user may not see it, or nobody answers. */
async function list<T extends Manifest>(api: Api, path: string): Promise<readonly T[]> {
  try {
    return (await api.get<{ items: readonly T[] }>(path)).items
  } catch {
    return []
  }
}

function named(objects: readonly Manifest[]): string[] {
  return objects.map((one) => one.metadata.name).sort()
}
