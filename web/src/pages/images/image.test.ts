import { expect, test } from 'vitest'

import { imageOf, makingOf, sizeOf, stepOf } from './image'

const metadata = { name: 'debian', namespace: 'vd-images', uid: '1', resourceVersion: '1', creationTimestamp: '' }
const domain = 'virtualservers.coreweave.com'

test('a claim is an image where it names one, and else none', () => {
  const annotations = { [`${domain}/image`]: 'sha256:00', [`${domain}/alias-of`]: 'vd-images/debian-12' }
  const claim = { metadata: { ...metadata, annotations }, status: { phase: 'Bound', capacity: { storage: '2147483648' } } }
  expect(imageOf(claim)).toMatchObject({ name: 'debian', aliasOf: 'vd-images/debian-12', digest: 'sha256:00', size: '2Gi', waits: '' })
  expect(imageOf({ ...claim, status: {} })).toMatchObject({ waits: 'Pending' })
  expect(imageOf({ metadata })).toBeNull()
})

test('an image that is being made says how far it is, and one whose maker was killed what to do', () => {
  const making = (progress: string, more = {}) => ({ metadata: { ...metadata, annotations: { [`${domain}/image-progress`]: progress, ...more } }, spec: { resources: { requests: { storage: '1Mi' } } } })
  expect(imageOf(making('45% installing'))).toMatchObject({ name: 'debian', digest: '', size: '', waits: '', step: { words: 'installing', share: 0.45 }, abandoned: null })
  const conditions = [{ type: `${domain}/ImageMade`, status: 'False' as const, reason: 'Abandoned', message: 'whoever made it is gone' }]
  expect(imageOf({ ...making('abandoned'), status: { phase: 'Pending', conditions } })).toMatchObject({ step: null, abandoned: 'whoever made it is gone' })
  const anew = imageOf({ ...making('packing', { [`${domain}/image`]: 'sha256:00' }), status: { phase: 'Bound', capacity: { storage: '2Gi' } } })
  expect(anew).toMatchObject({ digest: 'sha256:00', size: '2Gi', waits: '', step: { words: 'packing', share: null }, abandoned: null })
})

test.each([
  ['45% copying the disk', 0.45, 'copying the disk'],
  ['100% done: 50% of it', 1, 'done: 50% of it'],
  ['looking up 45% of it', null, 'looking up 45% of it'],
  ['4567% much', null, '4567% much'],
])('%s is a step', (progress, share, words) => {
  expect(stepOf(progress)).toEqual({ share, words })
})

test('a disk that is being made says how far it is, where somebody knows', () => {
  const spec = { source: { pvc: { name: 'web' } } }
  const status = { phase: 'CloneInProgress', progress: '42.5%', conditions: [{ type: 'Ready', status: 'False' as const, message: 'the disk is being copied' }] }
  expect(makingOf({ metadata, spec, status })).toMatchObject({ source: 'vd-images/web', phase: 'CloneInProgress', share: 0.425, message: 'the disk is being copied' })
  expect(makingOf({ metadata, status: { phase: 'Pending', progress: 'N/A' } })).toMatchObject({ share: null, source: '' })
  expect(makingOf({ metadata, status: { phase: 'Succeeded' } })).toBeNull()
})

test.each([
  ['4Gi', '4Gi'],
  ['134217728', '128Mi'],
  ['3758096384', '3.5Gi'],
  ['', ''],
])('%s is shown as %s', (size, words) => {
  expect(sizeOf(size)).toBe(words)
})
