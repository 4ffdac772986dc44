// @vitest-environment happy-dom
import { mount, unmount } from 'svelte'
import { expect, test } from 'vitest'

import { theirs } from '../../draft'
import { LAST_APPLIED } from '../../draft/lastApplied'
import Conflict from './Conflict.svelte'
import type { Editing } from './editing.svelte'

function server(password: string | number, region: string) {
  const spec = { region, users: [{ username: 'ada', password }] }
  return { metadata: { annotations: { [LAST_APPLIED]: JSON.stringify({ spec }) } }, spec }
}

test('what somebody else has changed is said without any password', () => {
  const found = theirs(server('old-secret', 'north'), server('new-secret', 'south'), server(4711, 'north'))
  const page = mount(Conflict, { target: document.body, props: { editing: { theirs: found } as unknown as Editing } })
  const words = document.body.textContent
  expect(words).toContain(LAST_APPLIED)
  expect(words).toContain('south')
  expect(words).toContain('[{"username":"ada","password":"••••••••"}]')
  expect(words).not.toMatch(/secret|4711/)
  void unmount(page)
})
