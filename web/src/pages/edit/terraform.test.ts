import { expect, test } from 'vitest'

import { terraform } from './terraform'

test('a manifest is a resource of its own values', () => {
  const manifest = { kind: 'VirtualServer', metadata: { name: 'web.1', labels: { 'a/b': 'c' } }, spec: { network: { public: true, tcp: { ports: [22, 80] }, vpcs: [{ name: 'red' }] }, os: {} } }
  expect(terraform(manifest)).toBe(`resource "kubernetes_manifest" "web_1" {
  manifest = {
    kind = "VirtualServer"
    metadata = {
      name = "web.1"
      labels = {
        "a/b" = "c"
      }
    }
    spec = {
      network = {
        public = true
        tcp = {
          ports = [22, 80]
        }
        vpcs = [
          {
            name = "red"
          },
        ]
      }
      os = {}
    }
  }
}
`)
})

test('nothing in a string is a template, and a name may begin with a digit', () => {
  expect(terraform({ metadata: { name: '1st' }, spec: { cloudInit: 'a: "${x} %{y}"\nb: \\' } })).toContain(
    '"_1st" {\n  manifest = {\n    metadata = {\n      name = "1st"\n    }\n    spec = {\n      cloudInit = "a: \\"$${x} %%{y}\\"\\nb: \\\\"',
  )
})
