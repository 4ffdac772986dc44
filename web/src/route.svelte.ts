/** Which page is open: what stands behind `#` in the address. */
export type Route =
  | { readonly page: 'servers' }
  | { readonly page: 'new' | 'events' | 'addresses' | 'images' }
  | { readonly page: (typeof OF_SERVER)[number]; readonly namespace: string; readonly name: string }

const PLAIN = ['new', 'events', 'addresses', 'images'] as const
const OF_SERVER = ['edit', 'template', 'clone'] as const

export function routeOf(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent)
  const plain = PLAIN.find((page) => page === parts[0])
  if (plain) return { page: plain }
  const [kind, namespace, name, last] = parts
  const page = OF_SERVER.find((one) => one === last)
  if (kind === 'servers' && namespace && name && page) return { page, namespace, name }
  return { page: 'servers' }
}

/** One word for what a page is about. */
export function nameOf(route: Route): string {
  return 'name' in route ? `${route.page}/${route.namespace}/${route.name}` : route.page
}

export const here = $state<{ route: Route }>({ route: routeOf(location.hash) })

addEventListener('hashchange', () => {
  here.route = routeOf(location.hash)
})

/** A server's page: to edit it, or for a new one that begins with its text, or with its disk too. */
export function serverHref(page: (typeof OF_SERVER)[number], namespace: string, name: string): string {
  return `#/servers/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${page}`
}

/** A server's console, in a window of its own. */
export function terminalHref(base: string, namespace: string, name: string, screen: 'serial' | 'vnc'): string {
  return `${base}/terminal/#${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${screen}`
}
