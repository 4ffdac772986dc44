import { expect, test } from 'vitest'

import { ApiError } from '../../api/client'
import type { Api } from '../../api/client'
import { pass, timed } from '../../timed'
import { Editing } from './editing.svelte'

const PORTS = ['spec', 'network', 'tcp', 'ports']

interface Sent {
  readonly method: string
  readonly path: string
  readonly body: string
}

/** An API that takes everything, unless a test says otherwise. */
class FakeApi {
  readonly session = { base: '/x', token: 't', server: '', namespace: 'shop', user: 'ada' }
  readonly sent: Sent[] = []
  readonly kept: [string, string | null][] = []
  draftOf: string | null = null
  server: object = { apiVersion: 'v', kind: 'VirtualServer', metadata: { name: 'web', namespace: 'shop', resourceVersion: '1', uid: 'u' }, spec: { region: 'a', network: { public: true } } }
  refusals: ApiError[] = []

  get = (path: string) => {
    const kinds = ['VirtualServer', 'Secret', 'NetworkAttachmentDefinition']
    const resources = kinds.map((kind) => ({ kind, name: `${kind.toLowerCase()}s`, namespaced: true }))
    return Promise.resolve(/\/v1(alpha1)?$/.test(path) ? { resources } : this.server)
  }
  told = () => Promise.resolve({ effects: [{ path: 'spec.region', effect: 'now' }], remedies: {} })
  planned = () => Promise.resolve([{ kind: 'Service', metadata: { name: 'web-tcp' } }])
  draft = () => Promise.resolve(this.draftOf)
  keep = (name: string, text: string | null) => {
    this.kept.push([name, text])
    return Promise.resolve()
  }
  send = (method: string, path: string, body = '') => {
    this.sent.push({ method, path, body })
    const refusal = this.refusals.shift()
    return refusal ? Promise.reject(refusal) : Promise.resolve(new Response(JSON.stringify(this.server)))
  }
}

function editing(): { api: FakeApi; editing: Editing } {
  const api = new FakeApi()
  return { api, editing: new Editing(api as unknown as Api, 'new') }
}

timed()

test('the API is asked once after a pause, as of the text that is there then', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  await pass(1000)
  api.sent.length = 0
  edited.set(['metadata', 'name'], 'a')
  edited.set(['metadata', 'name'], 'ab')
  await pass(1000)
  expect(api.sent).toHaveLength(1)
  expect(api.sent[0]?.path).toBe('/apis/virtualservers.coreweave.com/v1alpha1/namespaces/shop/virtualservers?fieldManager=console&fieldValidation=Strict&dryRun=All')
  expect(api.sent[0]?.body).toContain('name: ab')
  expect(edited.check.is).toBe('good')
})

test('what the API has against a field is at the field, and at what is around it', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  api.refusals = [new ApiError('invalid', 422, 'Invalid', [{ field: 'spec.network.tcp.ports[0]', message: 'too large' }])]
  await pass(1000)
  expect(edited.faultsAt(PORTS).map((one) => one.message)).toEqual(['too large'])
  expect(edited.faultsAt(['spec', 'network'])).toHaveLength(1)
  expect(edited.faultsAt(['spec', 'os'])).toEqual([])
})

test('a field that does not exist is named at its place', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  api.refusals = [new ApiError('strict decoding error: unknown field "spec.network.oh"', 400)]
  await pass(1000)
  expect(edited.faultsAt(['spec', 'network', 'oh'])).toHaveLength(1)
})

test('an API that is away is asked again until it is back, and not after the page is left', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  api.refusals = [new ApiError('no', 503), new ApiError('no', 503)]
  await pass(1000)
  expect(edited.check.is).toBe('away')
  await pass(11_000)
  expect(edited.check.is).toBe('good')
  api.refusals = [new ApiError('no', 503)]
  edited.set(['spec', 'region'], 'north')
  await pass(1000)
  edited.end()
  const asked = api.sent.length
  await pass(60_000)
  expect(api.sent).toHaveLength(asked)
  expect(api.kept.at(-1)?.[1]).toContain('region: north')
})

test('an answer that comes late says nothing of a later text', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  let late: (error: ApiError) => void = () => undefined
  api.send = () => new Promise((_, reject) => (late = reject))
  await pass(1000)
  edited.become('kind: VirtualServer\nspec: [\n')
  late(new ApiError('no', 422, 'Invalid', [{ field: 'spec', message: 'no' }]))
  await pass(1000)
  expect(edited.check.is).toBe('unasked')
})

test('a text that cannot be read freezes the form on what it was, and the way back loses nothing else', async () => {
  const { editing: edited } = editing()
  await edited.begin()
  const before = edited.text
  edited.become(`${before}oh: [\n`)
  expect(edited.isFrozen).toBe(true)
  expect(edited.at(['metadata', 'name'])).toBe('my-server')
  edited.set(['metadata', 'name'], 'other')
  expect(edited.text).toBe(`${before}oh: [\n`)
  edited.revert()
  expect(edited.text).toBe(before)
})

test('what is typed is kept until it is saved, and what is as it was is not', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  edited.set(['spec', 'region'], 'north')
  await pass(1000)
  expect(api.kept.at(-1)?.[1]).toContain('region: north')
  edited.reset()
  await pass(1000)
  expect(api.kept.at(-1)).toEqual(['new', null])
})

test('a text that was begun before is there again, with the ports that direct attach took out of it', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  edited.parked = { tcp: [22], udp: [] }
  edited.become('kind: VirtualServer # begun\n')
  await pass(1000)
  api.draftOf = api.kept.at(-1)?.[1] ?? null
  const again = new Editing(api as unknown as Api, 'new')
  await again.begin()
  expect([again.text, again.isKept, again.parked]).toEqual(['kind: VirtualServer # begun\n', true, { tcp: [22], udp: [] }])
})

test('a new server takes what another one has, and keeps the name that it was given', async () => {
  const { api, editing: edited } = editing()
  api.server = { ...api.server, status: { conditions: [] } }
  await edited.begin()
  await edited.takeFrom('shop', 'web')
  expect(edited.text).toBe('apiVersion: v\nkind: VirtualServer\nmetadata:\n  name: web-2\n  namespace: shop\nspec:\n  region: a\n  network:\n    public: true\n')
  edited.set(['metadata', 'name'], 'mine')
  await edited.takeFrom('shop', 'web')
  expect(edited.at(['metadata', 'name'])).toBe('mine')
})

test('a server that is edited takes what another one has, and stays itself', async () => {
  const { api, editing: edited } = editing()
  await edited.load('shop', 'web')
  api.server = { apiVersion: 'v', kind: 'VirtualServer', metadata: { name: 'other', namespace: 'shop', labels: { a: 'b' } }, spec: { region: 'z' } }
  await edited.takeFrom('shop', 'other')
  expect(edited.text).toBe('apiVersion: v\nkind: VirtualServer\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  region: z\n')
})

test('a save that meets only the operator goes on with what it had', async () => {
  const { api, editing: edited } = editing()
  await edited.load('shop', 'web')
  edited.set(['spec', 'region'], 'b')
  api.server = { ...api.server, metadata: { name: 'web', namespace: 'shop', resourceVersion: '2', uid: 'u' }, status: { conditions: [] } }
  api.refusals = [new ApiError('conflict', 409, 'Conflict')]
  expect(await edited.save()).toBe(true)
  expect(api.sent.map((one) => /resourceVersion: "(\d)"/.exec(one.body)?.[1])).toEqual(['1', '2'])
})

test('a save that meets somebody else’s wish stops, and goes on once it was seen', async () => {
  const { api, editing: edited } = editing()
  await edited.load('shop', 'web')
  edited.set(['spec', 'region'], 'b')
  expect(edited.changes).toEqual([{ path: 'spec.region', when: 'now' }])
  api.server = { ...api.server, metadata: { name: 'web', namespace: 'shop', resourceVersion: '2', uid: 'u' }, spec: { region: 'c', network: { public: false } } }
  api.refusals = [new ApiError('conflict', 409, 'Conflict')]
  expect(await edited.save()).toBe(false)
  expect(edited.theirs.map(({ path, mine, isContested }) => [path.join('.'), mine, isContested])).toEqual([
    ['spec.region', 'b', true],
    ['spec.network.public', true, false],
  ])
  edited.takeTheirs(edited.theirs.filter((one) => !one.isContested))
  edited.settle()
  expect(await edited.save()).toBe(true)
  expect(api.sent.at(-1)?.body).toMatch(/resourceVersion: "2"[^]*region: b[^]*public: false/)
})

test('somebody else’s change that was settled while the API was still asked about it is not shown again', async () => {
  const { api, editing: edited } = editing()
  await edited.load('shop', 'web')
  edited.set(['spec', 'region'], 'b')
  api.server = { ...api.server, metadata: { name: 'web', namespace: 'shop', resourceVersion: '2', uid: 'u' }, spec: THEIRS }
  api.refusals = [new ApiError('conflict', 409, 'Conflict'), new ApiError('conflict', 409, 'Conflict')]
  expect(await edited.save()).toBe(false)
  const answers: (() => void)[] = []
  api.get = () => new Promise((answer) => answers.push(() => answer(api.server)))
  edited.takeTheirs(edited.theirs)
  await pass(500)
  expect(answers).toHaveLength(1)
  edited.settle()
  answers[0]?.()
  await pass(0)
  expect([edited.met, edited.origin?.version]).toEqual([null, '2'])
})

/** A server whose region is being edited in a page that is left; what somebody else does meanwhile; and the page that is opened again. */
async function reopened(version: string, spec: object, change: (words: string) => string = (words) => words) {
  const { api, editing: left } = editing()
  await left.load('shop', 'web')
  left.set(['spec', 'region'], 'b')
  await pass(1000)
  left.end()
  api.draftOf = change(api.kept.at(-1)?.[1] ?? '')
  api.server = { ...api.server, metadata: { name: 'web', namespace: 'shop', resourceVersion: version, uid: 'u' }, spec }
  const edited = new Editing(api as unknown as Api, 'new')
  await edited.load('shop', 'web')
  return { api, edited }
}

const THEIRS = { region: 'a', network: { public: false } }

test('what somebody else has changed since a text was kept is shown, and not overwritten', async () => {
  const { api, edited } = await reopened('2', THEIRS)
  expect([edited.isKept, edited.at(['spec', 'region'])]).toEqual([true, 'b'])
  expect(edited.theirs.map(({ path, before, after, mine }) => [path.join('.'), before, after, mine])).toEqual([['spec.network.public', true, false, true]])
  api.refusals = [new ApiError('conflict', 409, 'Conflict')]
  expect(await edited.save()).toBe(false)
  expect(api.sent.at(-1)?.body).toContain('resourceVersion: "1"')
  edited.takeTheirs(edited.theirs)
  edited.settle()
  expect(await edited.save()).toBe(true)
  expect(api.sent.at(-1)?.body).toMatch(/resourceVersion: "2"[^]*region: b[^]*public: false/)
})

test('what was seen of somebody else’s change is not shown again at the next visit', async () => {
  const { api, edited } = await reopened('2', THEIRS)
  edited.settle()
  await pass(1000)
  api.draftOf = api.kept.at(-1)?.[1] ?? ''
  const again = new Editing(api as unknown as Api, 'new')
  await again.load('shop', 'web')
  expect([again.isKept, again.met, again.origin?.version]).toEqual([true, null, '2'])
})

test('a kept text goes on from what is there where only the operator has written, or nobody', async () => {
  for (const version of ['1', '2']) {
    const { edited } = await reopened(version, { region: 'a', network: { public: true } })
    expect([edited.isKept, edited.met, edited.origin?.version]).toEqual([true, null, version])
  }
})

test('who goes back to what there is has nothing left to settle', async () => {
  const { edited } = await reopened('2', THEIRS)
  edited.reset()
  expect([edited.met, edited.origin?.version, edited.at(['spec', 'network', 'public'])]).toEqual([null, '2', false])
})

test('a change that somebody else has taken back is none any more', async () => {
  const { api, edited } = await reopened('2', THEIRS)
  api.server = { ...api.server, metadata: { name: 'web', namespace: 'shop', resourceVersion: '3', uid: 'u' }, spec: { region: 'a', network: { public: true } } }
  api.refusals = [new ApiError('conflict', 409, 'Conflict')]
  await pass(1000)
  expect([edited.met, edited.origin?.version, edited.check.is]).toEqual([null, '3', 'good'])
})

test('a text that was kept without what the server said is there again all the same', async () => {
  const { edited } = await reopened('2', THEIRS, (words) => JSON.stringify({ ...(JSON.parse(words) as object), base: undefined }))
  expect([edited.isKept, edited.at(['spec', 'region']), edited.met]).toEqual([true, 'b', null])
})

test('of a text so large that the console would not keep what the server said beside it, the version is kept', async () => {
  const { api, editing: left } = editing()
  const spec = { region: 'a', cloudInit: 'x'.repeat(700_000) }
  api.server = { ...api.server, spec }
  await left.load('shop', 'web')
  left.set(['spec', 'region'], 'b')
  await pass(1000)
  api.draftOf = api.kept.at(-1)?.[1] ?? ''
  expect(api.draftOf.length).toBeLessThan(1 << 20)
  const open = async () => {
    const edited = new Editing(api as unknown as Api, 'new')
    await edited.load('shop', 'web')
    return edited.theirs.map((one) => one.path.join('.'))
  }
  expect(await open()).toEqual([])
  api.server = { ...api.server, metadata: { name: 'web', namespace: 'shop', resourceVersion: '2', uid: 'u' }, spec: { ...spec, region: 'a', os: 'linux' } }
  expect(await open()).toEqual(['spec'])
})

const SEVERAL = 'apiVersion: v1\nkind: Secret\nmetadata: {name: key}\n---\n# mine\napiVersion: virtualservers.coreweave.com/v1alpha1\nkind: VirtualServer\nmetadata: {name: a, namespace: b}\n'

test('several documents are made in their order, each at its place', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  edited.become(SEVERAL)
  expect(await edited.save()).toBe(true)
  expect(api.sent.map((one) => one.path.split('?')[0])).toEqual([
    '/api/v1/namespaces/shop/secrets',
    '/apis/virtualservers.coreweave.com/v1alpha1/namespaces/b/virtualservers',
  ])
  expect(api.sent[1]?.body).toMatch(/^---\n# mine\napiVersion/)
})

test('a text that says nothing is told what is missing', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  edited.become('# nothing yet\n')
  await pass(1000)
  expect(edited.check).toMatchObject({ is: 'bad', faults: [{ field: 'kind' }] })
  expect(api.sent).toHaveLength(0)
})

test('where one of several is refused, the next try goes on from it', async () => {
  const { api, editing: edited } = editing()
  await edited.begin()
  edited.become(SEVERAL.replace('kind: Secret', 'kind: Oh'))
  expect(await edited.save()).toBe(false)
  expect(edited.check).toMatchObject({ is: 'bad', faults: [{ field: 'Oh key', message: 'v1 has no kind Oh' }] })
  edited.become(SEVERAL)
  const refusal = new ApiError('invalid', 422, 'Invalid', [{ field: 'spec.os', message: 'add it' }])
  const send = api.send
  api.send = (method, path, body) => (path.includes('virtualservers') ? Promise.reject(refusal) : send(method, path, body))
  expect(await edited.save()).toBe(false)
  expect(edited.faultsAt(['spec', 'os'])).toHaveLength(1)
  api.send = send
  expect(await edited.save()).toBe(true)
  expect(api.sent.filter((one) => one.path.includes('secrets'))).toHaveLength(1)
})

test('no password is shown where nobody asked for it', async () => {
  const { api, editing: edited } = editing()
  api.server = { ...api.server, spec: { users: [{ username: 'ada', password: 'secret' }] } }
  await edited.begin()
  await pass(1000)
  expect(edited.effective).toContain('username: ada')
  expect(edited.effective).not.toContain('secret')
})

test('what would be made is the server with its defaults, and what it consists of', async () => {
  const { editing: edited } = editing()
  await edited.begin()
  await pass(1000)
  expect(edited.effective).toMatch(/kind: VirtualServer[^]*region: a[^]*---\nkind: Service\nmetadata:\n  name: web-tcp\n$/)
})
