/** Which page is open: what stands behind `#` in the address. */
export type Route =
  | { readonly page: 'servers' }
  | { readonly page: 'new' | 'events' | 'addresses' | 'images' }
  | { readonly page: 'edit' | 'template'; readonly namespace: string; readonly name: string }

const PLAIN = ['new', 'events', 'addresses', 'images'] as const

export function routeOf(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent)
  const plain = PLAIN.find((page) => page === parts[0])
  if (plain) return { page: plain }
  const [kind, namespace, name, page] = parts
  if (kind === 'servers' && namespace && name && (page === 'edit' || page === 'template')) return { page, namespace, name }
  return { page: 'servers' }
}

/** One word for what a page is about. */
export function nameOf(route: Route): string {
  return 'name' in route ? `${route.page}/${route.namespace}/${route.name}` : route.page
}

export const here = $state<{ route: Route }>({ route: routeOf(location.hash) })

addEventListener('hashchange', () => (here.route = routeOf(location.hash)))

export function editHref(namespace: string, name: string): string {
  return `#/servers/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/edit`
}

/** A server's console, in a window of its own. */
export function terminalHref(base: string, namespace: string, name: string, screen: 'serial' | 'vnc'): string {
  return `${base}/terminal/#${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${screen}`
}

/** A new server that begins with another's text. */
export function templateHref(namespace: string, name: string): string {
  return `#/servers/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/template`
}
