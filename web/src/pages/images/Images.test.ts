// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte'
import { afterEach, expect, test } from 'vitest'

import type { Api } from '../../api/client'
import { eventually } from '../../mounted'
import Images from './Images.svelte'

const domain = 'virtualservers.coreweave.com'
const socket = { onopen: () => undefined, onmessage: () => undefined, onclose: () => undefined, close: () => undefined }
let page: object

function claim(name: string, annotations: Record<string, string>, status: object = {}): object {
  const given = Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`${domain}/${key}`, value]))
  return { metadata: { name, namespace: 'vd-images', uid: name, resourceVersion: '1', creationTimestamp: '', annotations: given }, status }
}

async function open(claims: object[], volumes: object[]): Promise<void> {
  const api = {
    session: { base: '/x', token: 't', server: '', namespace: 'shop', user: 'ada' },
    get: (path: string) => Promise.resolve({ items: path.includes('datavolumes') ? volumes : claims, metadata: { resourceVersion: '1' } }),
    socket: () => socket,
  } as unknown as Api
  page = mount(Images, { target: document.body, props: { api } })
  await eventually(() => {
    flushSync()
    expect(document.querySelectorAll('tbody tr')).toHaveLength(claims.length + volumes.length)
  })
}

function row(name: string): Element {
  const found = [...document.querySelectorAll('tbody tr')].find((one) => one.querySelector('b')?.textContent === name)
  if (!found) throw new Error(`no row of ${name}`)
  return found
}

afterEach(() => unmount(page))

test('images and disks that are being made have a bar with a name', async () => {
  const copy = { metadata: { name: 'copy', namespace: 'shop', uid: 'copy', resourceVersion: '1', creationTimestamp: '' }, status: { phase: 'CloneInProgress', progress: '42.5%' } }
  await open([claim('debian', { 'image-progress': '45% installing' }), claim('unknown', { 'image-progress': 'packing' }), claim('whole', { image: 'sha256:00' }, { phase: 'Bound' })], [copy])
  for (const [name, value, words] of [['debian', '0.45', '45 % installing'], ['unknown', null, 'packing'], ['copy', '0.425', '43 %']] as const) {
    const bar = row(name).querySelector('progress')
    expect(bar?.getAttribute('aria-label')).toBe(`How far ${name} is`)
    expect(bar?.getAttribute('value') ?? null).toBe(value)
    expect(row(name).textContent).toContain(words)
  }
  expect(row('debian').querySelector('button'), 'there is no content to copy').toBeNull()
  expect(row('whole').querySelector('progress')).toBeNull()
})

test('an image whose maker was killed has words and no bar', async () => {
  const conditions = [{ type: `${domain}/ImageMade`, status: 'False', message: 'whoever made this image ended before it was done (45% installing)' }]
  await open([claim('debian', { 'image-progress': 'abandoned' }, { phase: 'Pending', conditions })], [])
  expect(row('debian').textContent).toContain('Not made. whoever made this image ended before it was done (45% installing)')
  expect(row('debian').querySelector('progress')).toBeNull()
})
