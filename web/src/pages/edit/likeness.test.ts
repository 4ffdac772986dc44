import { expect, test } from 'vitest'
import { parse } from 'yaml'

import type { Manifest } from '../../api/client'
import type { Schema } from '../../schema/schema'
import { clone, likeness } from './likeness'

const SCHEMA: Schema = {
  properties: {
    spec: {
      properties: {
        runStrategy: { default: 'RerunOnFailure' },
        users: { items: { properties: { passwordSecretRef: { properties: { key: { default: 'password' } } } } } },
      },
    },
  },
}
const USERS = [{ username: 'ada', sshpublickey: 'ssh-ed25519 AAAA' }, { username: 'bob', passwordSecretRef: { name: 'bob', key: 'password' } }]
const WEB = {
  apiVersion: 'virtualservers.coreweave.com/v1alpha1',
  kind: 'VirtualServer',
  metadata: { name: 'web', namespace: 'shop', uid: '1', resourceVersion: '7', creationTimestamp: '', labels: { tier: 'web' }, annotations: { a: 'b' } },
  spec: {
    runStrategy: 'RerunOnFailure',
    firmware: { serial: 's' },
    network: { public: true, macAddress: '02:00:00:00:00:01', floatingIPs: [{ serviceName: 'mine' }], tcp: { ports: [22] } },
    storage: {
      root: { size: '4Gi', source: { http: { url: 'https://images' } } },
      additionalDisks: [{ name: 'data', spec: { persistentVolumeClaim: { claimName: 'data' } } }, { name: 'scratch', spec: { emptyDisk: { capacity: '1Gi' } } }],
    },
    users: USERS,
  },
  status: { network: { internalIP: '10.0.0.1' } },
} as Manifest

test('a likeness has what a server has, but what is its own, what the API fills in, and its state', () => {
  expect(parse(likeness(WEB, SCHEMA))).toEqual({
    apiVersion: WEB.apiVersion,
    kind: WEB.kind,
    metadata: { name: 'web-2', namespace: 'shop', labels: { tier: 'web' } },
    spec: {
      network: { public: true, floatingIPs: [{ serviceName: 'mine' }], tcp: { ports: [22] } },
      storage: (WEB as unknown as { spec: { storage: object } }).spec.storage,
      users: [USERS[0], { username: 'bob', passwordSecretRef: { name: 'bob' } }],
    },
  })
})

test('a clone starts from the root disk, keeps users and disks that are copied as words, and takes nobody else’s', () => {
  const { spec } = parse(clone(WEB, {})) as { spec: object }
  expect(spec).toEqual({
    runStrategy: 'RerunOnFailure',
    network: { public: true, tcp: { ports: [22] } },
    storage: { root: { size: '4Gi', source: { pvc: { namespace: 'shop', name: 'web' } } }, additionalDisks: [{ name: 'scratch', spec: { emptyDisk: { capacity: '1Gi' } } }] },
    users: USERS,
  })
})

test('a clone of a server with no other disks than those of claims says nothing of disks', () => {
  const [disk] = [{ name: 'data', spec: { dataVolume: { name: 'data' } } }]
  const { spec } = parse(clone({ ...WEB, spec: { storage: { root: {}, additionalDisks: [disk] } } } as Manifest, {})) as { spec: object }
  expect(spec).toEqual({ storage: { root: { source: { pvc: { namespace: 'shop', name: 'web' } } } } })
})
