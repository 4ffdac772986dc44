/** How one logs in to a server from a shell: pure. */
import type { VirtualServer } from '../../api/virtualserver'

const PORT = 22

export function sshOf(server: VirtualServer): string {
  const { spec = {}, status, metadata } = server
  const user = spec.users?.[0]?.username ?? ''
  const address = status?.network?.externalIP ?? ''
  const isOpen = spec.network?.directAttachLoadBalancerIP === true || spec.network?.tcp?.ports?.includes(PORT) === true
  // Any other server is reached by the API, which the command knows to ask.
  if (!address || !isOpen || !user) return `vs ssh ${metadata.name} -n ${metadata.namespace ?? 'default'}`
  return `ssh ${user}@${address}`
}
