// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { ApiError } from '../../api/client'
import type { Api } from '../../api/client'
import type { Ability, Rights } from '../../api/rights'
import { agree, button, eventually } from '../../mounted'
import { texts } from '../../texts'
import Addresses from './Addresses.svelte'

const MINE = { metadata: { name: 'mine', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' }, spec: { type: 'LoadBalancer' }, status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } }
const WEB = { metadata: { name: 'web', namespace: 'shop', uid: 'u2', resourceVersion: '1', creationTimestamp: '' }, status: { network: { floatingIPs: { mine: '203.0.113.9' } } } }

const FAR = { metadata: { name: 'far', namespace: 'other', uid: 'u3', resourceVersion: '1', creationTimestamp: '' }, spec: { type: 'LoadBalancer' } }

let allowed: (ability: Ability, namespace: string) => boolean = () => true
let services: object[] = []
let sent: [string, string, unknown][] = []
let page: object

const POOL = { metadata: { name: 'public' }, status: { networks: ['203.0.113.0/24'], size: 6, used: 6, free: 0, own: 2, quota: 3 } }

const HOST = { metadata: { name: 'host' }, status: { networks: [], size: 0, used: 0, free: 0, host: true } }

const api = {
  session: { base: '/x', token: 't', server: '', namespace: 'shop', user: 'ada' },
  get: (path: string) => {
    if (path.endsWith('/pools')) return Promise.reject(new ApiError('you may not', 403))
    const items = path.endsWith('/namespaces/shop/namespacepools') ? [POOL, HOST] : path.endsWith('/virtualservers') || path.includes('virtualservers?') ? [WEB] : services
    return Promise.resolve({ items, metadata: { resourceVersion: '1' } })
  },
  send: (method: string, path: string, body: string) => {
    sent.push([method, path, JSON.parse(body)])
    return Promise.resolve(new Response('{}'))
  },
  socket: () => ({ close: () => undefined }),
} as unknown as Api

async function open(): Promise<void> {
  page = mount(Addresses, { target: document.body, props: { api, rights: { may: allowed } as unknown as Rights } })
  await eventually(() => {
    flushSync()
    expect(document.body.textContent).toContain('203.0.113.9')
  })
}

beforeEach(async () => {
  sent = []
  services = [MINE]
  allowed = () => true
  await open()
})
afterEach(() => unmount(page))

function name(words: string): void {
  const field = document.querySelector<HTMLInputElement>('form input')
  if (field) field.value = words
  field?.dispatchEvent(new Event('input', { bubbles: true }))
  flushSync()
}

/** The page as somebody sees it who may do less. */
async function openAs(may: typeof allowed): Promise<void> {
  await unmount(page)
  allowed = may
  services = [MINE, FAR]
  await open()
  name('next')
}

test('who may read only is offered nothing, with the reason', async () => {
  await openAs(() => false)
  const off = [button('Reserve'), button('Release')].map((one) => [one.disabled, one.title])
  expect(off).toEqual([[true, texts.mayNot], [true, texts.mayNot]])
})

test('an address is reserved in the own namespace, and released in that of its Service', async () => {
  await openAs((ability, namespace) => namespace === (ability === 'reserve' ? 'shop' : 'other'))
  const rows = [...document.querySelectorAll('tbody tr')].map((row) => [row.children[1]?.textContent, button('Release', row).disabled])
  expect(rows).toEqual([['farother', false], ['mineshop', true]])
  expect([button('Reserve').disabled, button('Reserve').title]).toEqual([false, ''])
})

test('an address is reserved by a Service that selects nothing', async () => {
  name('next')
  document.querySelector('form')?.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }))
  await eventually(() => expect(sent).toHaveLength(1))
  await eventually(() => {
    flushSync()
    // Whether it gets one, the list says: its pool may be empty.
    expect(document.querySelector('.said')?.textContent).toContain('next is made')
  })
  expect(sent[0]).toMatchObject(['POST', '/api/v1/namespaces/shop/services?fieldManager=console', { metadata: { name: 'next', annotations: { 'metallb.io/address-pool': 'public' } } }])
})

test('before one is released, the server that loses it is named, and only that very Service goes', async () => {
  button('Release').click()
  flushSync()
  expect(agree()).toContain('The server web is not reached at it any more')
  await eventually(() => expect(sent).toHaveLength(1))
  expect(sent[0]).toMatchObject(['DELETE', '/api/v1/namespaces/shop/services/mine', { preconditions: { uid: 'u1' } }])
})

test('who may not see all pools sees how much of them is used, and what is the own namespace’s', async () => {
  await eventually(() => {
    flushSync()
    expect(document.body.textContent).toContain('6 of 6 used, 2 of 3 by this namespace')
  })
  expect(document.body.textContent).toContain('vs up --public-pool')
  // A full pool's bar is none of the good colours.
  const full = document.querySelector('meter')
  expect(['high', 'value', 'optimum'].map((name) => Number(full?.getAttribute(name)))).toEqual([5.5, 6, 0])
})

test('the machine’s own address is no empty pool', async () => {
  await eventually(() => {
    flushSync()
    expect(document.body.textContent).toContain('own address, port by port')
  })
  expect(document.querySelectorAll('li.empty')).toHaveLength(1)
})
