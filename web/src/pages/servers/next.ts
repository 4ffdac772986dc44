/** What to do next about a server, as its line offers it: pure. */
import type { Verb } from '../../api/kinds'
import type { Row } from './row'

/** What stands in a message about a missing image, as the operator writes it. */
const IMAGE = /vs image (?:build [a-z]+|alias [a-z0-9./-]+ [a-z0-9.-]+)/g
/** The pool that a message says is empty; those of regions are not the machine's to enlarge by one option. */
const POOL = /pool '(public|private)' \([^)]*\) has no free address/

/** What is done to the machine. */
export function verbOf(row: Row): Verb {
  if (row.endsBy) return 'force'
  if (row.state === 'stopped') return 'start'
  if (row.state === 'paused') return 'unpause'
  return row.reason === 'RestartRequired' && row.state === 'waiting' ? 'restart' : 'stop'
}

/** What an administrator types on the machine so that the server can go on; empty where nothing is known. */
export function commandOf(row: Row): string {
  if (row.reason === 'ImageNotFound') return (row.message.match(IMAGE) ?? []).join(' && ')
  const pool = row.reason === 'PoolExhausted' && POOL.exec(row.message)?.[1]
  return pool ? `vs up --${pool}-pool NETWORK` : ''
}

/** The page that shows what the server waits for; empty where there is none. */
export function pageOf(row: Row): string {
  const pages: Readonly<Record<string, string>> = { ImageNotFound: '#/images', Provisioning: '#/images', PoolExhausted: '#/addresses', AddressQuotaExceeded: '#/addresses' }
  return row.state === 'waiting' || row.state === 'failed' ? (pages[row.reason] ?? '') : ''
}
