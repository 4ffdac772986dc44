/** The columns of the list that somebody may leave out; the name stays. What is chosen is kept as long as the page is open. */
import { SvelteSet } from 'svelte/reactivity'

export const COLUMNS = ['state', 'addresses', 'hardware', 'region', 'uptime'] as const

export type Shown = (typeof COLUMNS)[number]

export const shown = new SvelteSet<Shown>(COLUMNS)
