/** Paths of the kinds that pages show. Names come from addresses and texts too, so that each is one step, whatever is in it. */
const step = encodeURIComponent

const GROUP = '/apis/virtualservers.coreweave.com/v1alpha1'
const NETWORK = '/apis/network.virtualservers.coreweave.com/v1alpha1'

export const SERVERS = `${GROUP}/virtualservers`

export const EVENTS = '/api/v1/events'
export const SERVICES = '/api/v1/services'

/** Claims: images, and disks of servers. */
export const CLAIMS = '/api/v1/persistentvolumeclaims'
export const IMAGES = '/api/v1/namespaces/vd-images/persistentvolumeclaims'
export const VOLUMES = '/apis/cdi.kubevirt.io/v1beta1/datavolumes'

export function volumesOf(namespace: string): string {
  return `/apis/cdi.kubevirt.io/v1beta1/namespaces/${step(namespace)}/datavolumes`
}

export function eventsOf(namespace: string): string {
  return `/api/v1/namespaces/${step(namespace)}/events`
}

export function serversOf(namespace: string): string {
  return `${GROUP}/namespaces/${step(namespace)}/virtualservers`
}

export function serverPath(namespace: string, name: string): string {
  return `${serversOf(namespace)}/${step(name)}`
}

/** How the node sees the way of packets to a server. */
export function pathOf(namespace: string, name: string): string {
  return `${NETWORK}/namespaces/${step(namespace)}/virtualservers/${step(name)}/path`
}

/** Pools with all who hold their addresses, and what a namespace sees of them. */
export const POOLS = `${NETWORK}/pools`

export function poolsOf(namespace: string): string {
  return `${NETWORK}/namespaces/${step(namespace)}/namespacepools`
}

export type Verb = 'start' | 'stop' | 'force' | 'restart' | 'pause' | 'unpause'

/** The subresource that does it, of what, and what is sent: switching off is a stop that waits for nobody. */
export const POWER: Readonly<Record<Verb, { readonly of: 'virtualmachines' | 'virtualmachineinstances'; readonly subresource: string; readonly body: string }>> = {
  start: { of: 'virtualmachines', subresource: 'start', body: '{}' },
  stop: { of: 'virtualmachines', subresource: 'stop', body: '{}' },
  force: { of: 'virtualmachines', subresource: 'stop', body: '{"gracePeriod": 0}' },
  restart: { of: 'virtualmachines', subresource: 'restart', body: '{}' },
  pause: { of: 'virtualmachineinstances', subresource: 'pause', body: '{}' },
  unpause: { of: 'virtualmachineinstances', subresource: 'unpause', body: '{}' },
}

export function powerPath(namespace: string, name: string, verb: Verb): string {
  const { of, subresource } = POWER[verb]
  return `/apis/subresources.kubevirt.io/v1/namespaces/${step(namespace)}/${of}/${step(name)}/${subresource}`
}

export function eventsPath(namespace: string, name: string): string {
  return `/api/v1/namespaces/${step(namespace)}/events?fieldSelector=involvedObject.name=${step(name)}&limit=200`
}

export function servicesPath(namespace: string): string {
  return `/api/v1/namespaces/${step(namespace)}/services`
}

export function claimPath(namespace: string, name: string): string {
  return `/api/v1/namespaces/${step(namespace)}/persistentvolumeclaims/${step(name)}`
}

export function volumePath(namespace: string, name: string): string {
  return `/apis/cdi.kubevirt.io/v1beta1/namespaces/${step(namespace)}/datavolumes/${step(name)}`
}

/** The one instance of a server, as a list that can be watched. */
export function instancePath(namespace: string, name: string): string {
  return `/apis/kubevirt.io/v1/namespaces/${step(namespace)}/virtualmachineinstances?fieldSelector=metadata.name%3D${step(name)}`
}

export function consolePath(namespace: string, name: string, screen: 'console' | 'vnc'): string {
  return `/apis/subresources.kubevirt.io/v1/namespaces/${step(namespace)}/virtualmachineinstances/${step(name)}/${screen}`
}
