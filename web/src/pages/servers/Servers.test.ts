// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { ApiError } from '../../api/client'
import type { Api } from '../../api/client'
import type { Ability, Rights } from '../../api/rights'
import { agree, button, eventually } from '../../mounted'
import { texts } from '../../texts'
import Servers from './Servers.svelte'

class Socket {
  onopen: () => void = () => undefined
  onmessage: (message: { data: string }) => void = () => undefined
  onclose: () => void = () => undefined
  close = () => undefined
}

let socket = new Socket()
let sent: string[] = []
let allowed: (ability: Ability, namespace: string) => boolean = () => true
let listed: object[] = []
let refused = ''
let page: object

const api = {
  session: { base: '/x', token: 't', server: '', namespace: 'shop', user: 'ada' },
  get: (path: string) => {
    if (path.startsWith('/api/v1/namespaces/shop/events')) return Promise.resolve({ items: [] })
    if (refused && !path.includes('/namespaces/')) return Promise.reject(new ApiError(refused, 403))
    return Promise.resolve({ items: listed, metadata: { resourceVersion: '1' } })
  },
  send: (method: string, path: string, body: string) => {
    sent.push(`${method} ${path.split('/').slice(-3).join('/')} ${body}`)
    return Promise.resolve(new Response('{}'))
  },
  told: () => Promise.resolve({ effects: [], remedies: {} }),
  socket: () => socket,
} as unknown as Api

function server(name: string, ready: object = {}): object {
  const condition = { type: 'Ready', status: 'False', reason: 'Starting', lastTransitionTime: new Date().toISOString(), ...ready }
  return { metadata: { name, namespace: 'shop', uid: name, resourceVersion: '2', creationTimestamp: '' }, spec: {}, status: { conditions: [condition] } }
}

async function open(...servers: object[]): Promise<void> {
  listed = servers
  page = mount(Servers, { target: document.body, props: { api, rights: { may: allowed } as unknown as Rights } })
  await eventually(() => {
    flushSync()
    expect(document.body.textContent).toMatch(/\d+ servers?|no server yet/)
  })
}

beforeEach(() => {
  socket = new Socket()
  sent = []
  allowed = () => true
  refused = ''
})
afterEach(() => unmount(page))

test('a stopped server is started, and one that shuts down can be switched off at once', async () => {
  await open(server('halted', { reason: 'VirtualServerStopped' }), server('leaving', { reason: 'Stopping' }))
  button('Start').click()
  expect(document.body.textContent).toMatch(/by itself in (60|59) s/)
  button('Force stop').click()
  await eventually(() => expect(sent).toHaveLength(2))
  expect(sent).toEqual(['PUT virtualmachines/halted/start {}', 'PUT virtualmachines/leaving/stop {"gracePeriod": 0}'])
})

test('what changes is seen as it changes', async () => {
  await open(server('web'))
  socket.onmessage({ data: JSON.stringify({ type: 'MODIFIED', object: server('web', { reason: 'PoolExhausted', message: 'no free address' }) }) })
  socket.onmessage({ data: JSON.stringify({ type: 'ADDED', object: server('more') }) })
  await eventually(() => {
    flushSync()
    expect(document.body.textContent).toContain('2 servers')
  })
  expect(document.body.textContent).toContain('PoolExhausted')
  expect(document.body.textContent).toContain('no free address')
})

test('what a server waits for leads to its page, and the command that mends it is copied', async () => {
  const written = vi.fn(() => Promise.resolve())
  vi.stubGlobal('navigator', { clipboard: { writeText: written } })
  const message = 'image vd-images/web does not exist: there is no image yet: vs image build debian, then vs image alias vd-images/web debian'
  await open(server('web', { reason: 'ImageNotFound', message }))
  expect(document.querySelector('a.reason')?.getAttribute('href')).toBe('#/images')
  document.querySelector<HTMLButtonElement>('td.actions button')?.click()
  expect(written).toHaveBeenCalledWith('vs image build debian && vs image alias vd-images/web debian')
  vi.unstubAllGlobals()
})

test('what the user may not do is not offered', async () => {
  allowed = (ability) => ability === 'stop'
  await open(server('web'), server('halted', { reason: 'VirtualServerStopped' }))
  expect([...document.querySelectorAll('button')].map((one) => one.textContent.trim()).filter((words) => ['Start', 'Stop'].includes(words))).toEqual(['Stop'])
  expect(document.body.textContent).not.toContain('New server')
})

test('what the user may not do to those that are chosen is off, with the reason', async () => {
  allowed = (ability) => ability === 'stop'
  await open(server('web', { status: 'True', reason: 'VirtualServerReady' }))
  document.querySelector<HTMLInputElement>('thead input[type=checkbox]')?.click()
  flushSync()
  const bar = document.querySelector('.chosen') as HTMLElement
  expect(['Stop', 'Restart'].map((words) => [button(words, bar).disabled, button(words, bar).title])).toEqual([
    [false, ''],
    [true, texts.mayNot],
  ])
})

test('who may not see all namespaces sees the own one', async () => {
  refused = 'you may not list virtualservers'
  await open(server('web'))
  expect(document.body.textContent).toContain('You may see the servers of the namespace shop.')
})

test('where there is none yet, the next step is there', async () => {
  await open()
  expect(document.body.textContent).toContain('Make the first one')
})

test('several that are chosen are asked one after the other, and nothing that is not shown', async () => {
  await open(server('one'), server('two'), server('other'))
  const search = document.querySelector<HTMLInputElement>('input[type=search]')
  document.querySelector<HTMLInputElement>('thead input[type=checkbox]')?.click()
  flushSync()
  if (search) search.value = 'two'
  search?.dispatchEvent(new Event('input', { bubbles: true }))
  flushSync()
  expect(document.body.textContent).toContain('1 server chosen')
  button('Restart').click()
  await eventually(() => expect(sent).toEqual(['PUT virtualmachines/two/restart {}']))
})

test('of several that are chosen those are asked to which it does something', async () => {
  await open(server('halted', { reason: 'VirtualServerStopped' }), server('web', { status: 'True', reason: 'VirtualServerReady' }), server('leaving', { reason: 'Stopping' }))
  document.querySelector<HTMLInputElement>('thead input[type=checkbox]')?.click()
  flushSync()
  expect(document.body.textContent).toContain('3 servers chosen')
  button('Stop (1)').click()
  await eventually(() => {
    flushSync()
    expect(document.body.textContent).toContain('Stop: 1 server asked.')
  })
  expect(sent).toEqual(['PUT virtualmachines/web/stop {}'])
  expect(button('Restart (2)').disabled).toBe(false)
})

test('a server that runs is stopped before it is cloned, and its clone is shown once it has stopped', async () => {
  location.hash = '#/'
  HTMLDialogElement.prototype.showModal = () => undefined
  await open(server('web'))
  document.querySelector<HTMLButtonElement>('.cell .name')?.click()
  flushSync()
  button('Clone').click()
  flushSync()
  expect(agree()).toContain('web is not stopped')
  await eventually(() => expect(document.body.textContent).toContain('web is stopping'))
  expect(sent).toEqual(['PUT virtualmachines/web/stop {}'])
  expect(location.hash).toBe('#/')
  socket.onmessage({ data: JSON.stringify({ type: 'MODIFIED', object: server('web', { reason: 'VirtualServerStopped' }) }) })
  await eventually(() => {
    flushSync()
    expect(location.hash).toBe('#/servers/shop/web/clone')
  })
})
