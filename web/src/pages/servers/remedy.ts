/** What to do next about a condition whose message does not say it: pure; `api/remedies.py` says the same to `vs show`. */
import type { Told } from '../../api/client'
import type { Condition } from '../../api/virtualserver'

export function remedyOf(remedies: Told['remedies'], condition: Condition, server: { readonly name: string; readonly namespace: string }): string {
  if (condition.status === 'True' || condition.message?.includes(': vs ')) return ''
  const words = remedies[condition.reason ?? ''] ?? ''
  return words.replaceAll('{name}', () => server.name).replaceAll('{where}', () => ` -n ${server.namespace}`)
}
