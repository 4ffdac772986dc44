/** Where objects of any kind are, as the API itself says it; each group is asked once. */
import { ApiError } from './client'
import type { Api } from './client'

interface Resource {
  readonly name: string
  readonly kind: string
  readonly namespaced: boolean
}

export class Resources {
  private readonly groups = new Map<string, Promise<readonly Resource[]>>()

  constructor(private readonly api: Api) {}

  /**
   * The path at which objects of a kind are made.
   * @param namespace The one that is meant, for kinds that are in one.
   * @throws {ApiError} There is no such kind.
   */
  async path(apiVersion: string, kind: string, namespace: string): Promise<string> {
    const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const resources = await this.group(group)
    const found = resources.find((one) => one.kind === kind && !one.name.includes('/'))
    if (!found) throw new ApiError(`${apiVersion} has no kind ${kind}`, 404)
    return found.namespaced ? `${group}/namespaces/${encodeURIComponent(namespace)}/${found.name}` : `${group}/${found.name}`
  }

  private async group(path: string): Promise<readonly Resource[]> {
    const known = this.groups.get(path) ?? this.api.get<{ resources: Resource[] }>(path).then((list) => list.resources)
    this.groups.set(path, known)
    try {
      return await known
    } catch (error) {
      this.groups.delete(path)
      throw error
    }
  }
}
