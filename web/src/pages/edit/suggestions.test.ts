import { expect, test } from 'vitest'

import { ApiError } from '../../api/client'
import type { Api } from '../../api/client'
import { suggestions } from './suggestions'

function listing(lists: Record<string, object[]>): Api {
  const get = (path: string) => {
    const items = lists[/\w[\w-]*(?=\?|$)/.exec(path)?.[0] ?? '']
    return items ? Promise.resolve({ items }) : Promise.reject(new ApiError('you may not', 403))
  }
  return { get } as unknown as Api
}

test('images are claims that are one, and floating Services those that select nothing', async () => {
  const claims = [{ metadata: { name: 'debian', annotations: { 'virtualservers.coreweave.com/image': 'sha256:0' } } }, { metadata: { name: 'disk' } }]
  const services = [
    { metadata: { name: 'mine' }, spec: { type: 'LoadBalancer' } },
    { metadata: { name: 'web-tcp' }, spec: { type: 'LoadBalancer', selector: { a: 'b' } } },
    { metadata: { name: 'inside' }, spec: { type: 'ClusterIP' } },
  ]
  const vpcs = [{ metadata: { name: 'red' } }, { metadata: { name: 'blue' } }]
  const found = await suggestions(listing({ persistentvolumeclaims: claims, services, 'network-attachment-definitions': vpcs, virtualservers: [{ metadata: { name: 'web' } }] }), 'shop')
  expect(found).toEqual({ images: ['debian'], vpcs: ['blue', 'red'], services: ['mine'], servers: ['web'] })
})

test('what the user may not see is not suggested, and nothing else is lost', async () => {
  expect(await suggestions(listing({ services: [] }), 'shop')).toEqual({ images: [], vpcs: [], services: [], servers: [] })
})
