/** One manifest being edited: its text is the truth, and form and editor both change it. */
import { ApiError, YAML } from '../../api/client'
import type { Api, Manifest } from '../../api/client'
import { serverPath } from '../../api/kinds'
import { schemaOf } from '../../api/schema'
import { apply, LockedError, lockOf, parse, read, take, theirs, write } from '../../draft'
import type { Change, Draft, Path, Theirs } from '../../draft'
import { texts } from '../../texts'
import { faultsOf, meant, originOf } from './asking'
import type { Fault, Origin } from './asking'
import { Creation } from './creation'
import type { Outcome } from './creation'
import { keptOf, keptText } from './kept'
import type { Base } from './kept'
import { clone, likeness } from './likeness'
import type { Network, Protocol } from './network'
import { waits } from './remarks'
import { documents, hidden, shown, written } from './shown'
import { template } from './template'
import { timed } from './timing'
import type { Effect, Timed } from './timing'

export type Check =
  | { readonly is: 'unasked' | 'asking' | 'good' }
  | { readonly is: 'bad'; readonly faults: readonly Fault[] }
  | { readonly is: 'away'; readonly message: string }

const PAUSE_MS = 400
const KEEP_MS = 800
/** So long after nobody answered the API is asked again. */
const AWAY_MS = 5000
const CONFLICT = 409

export type Ports = Pick<Network, Protocol>

export class Editing {
  text = $state.raw('')
  check = $state.raw<Check>({ is: 'unasked' })
  readonly draft: Draft = $derived(parse(this.text))
  /** The last draft that could be read: what the form shows while the text cannot. */
  good = $state.raw<Draft>(parse(''))
  origin = $state.raw<Origin | null>(null)
  /** What would be made of the last text that the API took: the server with its defaults, and what it consists of. */
  effective = $state('')
  /** Why that would wait for an address, in words. */
  waits = $state.raw<readonly string[]>([])
  /** The server as somebody else has it by now, after a save met that; null for none. */
  met = $state.raw<Origin | null>(null)
  /** What they have that the text does not say. */
  readonly theirs: readonly Theirs[] = $derived(
    this.met && this.origin ? theirs(this.origin.value, this.met.value, this.good.value) : [],
  )
  private effects = $state.raw<readonly Effect[]>([])
  /** What a save would change of a server that there is, and when. */
  readonly changes: readonly Timed[] = $derived(this.origin ? timed(this.effects, this.origin.value, this.good.value) : [])
  /** Changes text in the editor, so that its undo knows; null while there is none. */
  editor: ((changes: readonly Change[]) => void) | null = null

  /** Whether the text is one that the user had begun before. */
  isKept = $state(false)
  /** The ports that direct attach took out of the text, for when it is turned off; they are kept with it. */
  parked: Ports | null = null

  private readonly creation: Creation
  private first = ''
  private timer?: ReturnType<typeof setTimeout>
  private keeping?: ReturnType<typeof setTimeout>
  private asked = 0

  /**
   * Nothing is edited yet.
   * @param name Of the text among those of the user that are kept.
   */
  constructor(
    private readonly api: Api,
    private readonly name: string,
  ) {
    this.creation = new Creation(api)
  }

  /** Begin with a new server's text. */
  async begin(): Promise<void> {
    this.origin = null
    await this.start(template(this.api.session.namespace))
  }

  /**
   * Begin a new server with what another one has.
   * @param copies Whether with a copy of its root disk, too.
   */
  async beginLike(namespace: string, name: string, copies: boolean): Promise<void> {
    this.origin = null
    await this.start(await this.like(namespace, name, copies))
  }

  /**
   * Put what another server has in the place of the text: undo brings the former one back. What is edited keeps its
   * metadata, and a new server the name that it was given.
   * @throws {ApiError} There is no such server, or the API does not answer.
   */
  async takeFrom(namespace: string, name: string): Promise<void> {
    const text = await this.like(namespace, name, false)
    const own = this.at(['metadata', 'name'])
    const isNamed = own !== undefined && own !== read(parse(this.first), ['metadata', 'name'])
    let changes: Change[] = []
    if (this.origin) changes = write(parse(text), ['metadata'], this.at(['metadata']))
    else if (isNamed) changes = write(parse(text), ['metadata', 'name'], own)
    this.parked = null
    this.replaceAll(apply(text, changes))
  }

  /** Begin with a server that there is. */
  async load(namespace: string, name: string): Promise<void> {
    const server = await this.api.get<Manifest>(serverPath(namespace, name))
    this.origin = originOf(server, namespace, name)
    this.effects = (await this.api.told()).effects
    await this.start(shown(server))
  }

  /** Ask and keep nothing more: the page is left. What was typed last is kept. */
  end(): void {
    clearTimeout(this.timer)
    this.asked += 1
  }

  /** The editor, or whoever else, has made it another text. */
  become(text: string): void {
    if (text === this.text) return
    this.text = text
    if (!this.draft.faults.length) this.good = this.draft
    this.check = { is: 'unasked' }
    this.asked += 1 // what the API is still saying is of another text
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.ask(), PAUSE_MS)
    this.keepSoon()
  }

  /** Back to the text that it began with. */
  reset(): void {
    this.isKept = false
    this.parked = null
    this.replaceAll(this.first)
    // Where it is what somebody else has, nothing is left to be settled.
    if (this.met && !this.theirs.length) this.settle()
  }

  /** Back to the last text that could be read. */
  revert(): void {
    this.replaceAll(this.good.text)
  }

  /** What a form's action does to the text. Where the text cannot be changed so, nothing happens: `lock` says why. */
  act(action: (draft: Draft) => Change[]): void {
    try {
      this.change(action(this.draft))
    } catch (error) {
      if (!(error instanceof LockedError)) throw error
    }
  }

  set(path: Path, value: unknown): void {
    this.act((draft) => write(draft, path, value))
  }

  /** Set a switch that is off where nothing is said: what is not there is not made to say so. */
  choose(path: Path, on: boolean): void {
    if (on || this.at(path) !== undefined) this.set(path, on)
  }

  /** What stands at a path, in the text as it could be read last. */
  at(path: Path): unknown {
    return read(this.good, path)
  }

  /** Whether the form waits, since the text cannot be read. */
  get isFrozen(): boolean {
    return this.draft.faults.length > 0
  }

  /** Why the form may not change a path, in words; empty where it may as soon as the text can be read. */
  lock(path: Path): string {
    const lock = lockOf(this.good, path)
    return lock ? texts.edit.locks[lock] : ''
  }

  /** What the API has against a field, or anything below it. */
  faultsAt(path: Path): readonly Fault[] {
    if (this.check.is !== 'bad') return []
    return this.check.faults.filter((one) => path.every((step, index) => one.path[index] === step))
  }

  /** Ask the API whether it would take the text, without anything being done. */
  async ask(): Promise<void> {
    const number = ++this.asked
    if (this.draft.faults.length) return
    this.check = { is: 'asking' }
    let check: Check = { is: 'good' }
    try {
      const { faults, stored } = await (this.origin ? this.replace(this.origin, '&dryRun=All') : this.creation.check(this.draft))
      if (faults.length) check = { is: 'bad', faults }
      else void this.look(number, stored)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // Somebody's change meanwhile is for a save to meet; a text is judged by itself.
      if (this.origin && error.status === CONFLICT) return this.askAgain(number)
      check = { is: 'away', message: error.message }
      if (number === this.asked) this.timer = setTimeout(() => void this.ask(), AWAY_MS)
    }
    if (number === this.asked) this.check = check
  }

  /** Look at what would be made of a manifest; where that cannot be told, at what would be stored. */
  private async look(number: number, stored: string): Promise<void> {
    if (!stored) return
    const server = JSON.parse(stored) as Manifest
    const planned = await this.api.planned(stored).catch(() => [])
    if (number === this.asked) this.effective = documents([shown(hidden(server) as Manifest), ...planned.map(written)])
    const found = await waits(this.api, server.metadata.namespace ?? '', planned)
    if (number === this.asked) this.waits = found
  }

  private async like(namespace: string, name: string, copies: boolean): Promise<string> {
    const [server, schema] = await Promise.all([this.api.get<Manifest>(serverPath(namespace, name)), schemaOf(this.api).catch(() => ({}))])
    return (copies ? clone : likeness)(server, schema)
  }

  private async askAgain(number: number): Promise<void> {
    const { origin } = this
    if (!origin || number !== this.asked) return
    const now = await this.api.get<Manifest>(serverPath(origin.namespace, origin.name))
    if (number !== this.asked) return // what they have was settled meanwhile, or the text is another one
    const found = originOf(now, origin.namespace, origin.name)
    const isOther = theirs(origin.value, found.value, origin.value).length > 0
    this.met = isOther ? found : null
    if (!isOther) this.origin = found
    if (!this.met) await this.ask()
  }

  /**
   * Have the API store it.
   * @returns Whether it did; where it did not, `check` or `met` say why.
   * @throws {ApiError} It does not answer.
   */
  async save(): Promise<boolean> {
    try {
      const { faults } = await (this.origin ? this.replace(this.origin, '') : this.creation.make(this.draft))
      if (faults.length) this.check = { is: 'bad', faults }
      if (faults.length) return false
    } catch (error) {
      if (this.origin && error instanceof ApiError && error.status === CONFLICT) return this.meet(this.origin)
      throw error
    }
    clearTimeout(this.keeping)
    await this.api.keep(this.name, null)
    return true
  }

  /** Put what somebody else has into the text. */
  takeTheirs(fields: readonly Theirs[]): void {
    let text = this.text
    try {
      for (const field of fields) text = take(text, field)
    } catch (error) {
      if (!(error instanceof LockedError)) throw error
    }
    this.replaceAll(text)
  }

  /** Go on with the text as it is, knowing what somebody else has. */
  settle(): void {
    if (this.met) this.origin = this.met
    this.met = null
    this.keepSoon() // the text goes on from what they have, after a reload too
    void this.ask()
  }

  /** Look at what a save has met: the operator, which writes the status, or somebody's other wish. */
  private async meet(origin: Origin): Promise<boolean> {
    const { namespace, name } = origin
    const met = originOf(await this.api.get<Manifest>(serverPath(namespace, name)), namespace, name)
    if (theirs(origin.value, met.value, origin.value).length) {
      this.met = met
      return false
    }
    this.origin = met
    return this.save()
  }

  /**
   * Put the text in the place of a server, as it was read, so that nobody's change meanwhile is overwritten.
   * @throws {ApiError} There was one, or the API does not answer.
   */
  private async replace({ namespace, name, version }: Origin, query: string): Promise<Outcome> {
    const { draft } = this
    const versioned = apply(draft.text, write(draft, ['metadata', 'resourceVersion'], version))
    const path = `${serverPath(namespace, name)}?fieldManager=console&fieldValidation=Strict${query}`
    try {
      const answer = await this.api.send('PUT', path, meant(parse(versioned)), YAML)
      return { faults: [], stored: await answer.text() }
    } catch (error) {
      if (!(error instanceof ApiError) || error.isAway || error.status === CONFLICT) throw error
      return { faults: faultsOf(error), stored: '' }
    }
  }

  private async start(text: string): Promise<void> {
    this.first = text
    this.good = parse(text)
    const words = await this.api.draft(this.name)
    const kept = words === null ? null : keptOf(words)
    this.isKept = kept !== null
    this.parked = kept?.parked ?? null
    if (kept?.base) this.goOnFrom(kept.base)
    this.replaceAll(kept?.text ?? text)
  }

  /** Have a kept text go on from what the server said when it was written, and show what somebody else has changed since. */
  private goOnFrom(base: Base): void {
    const now = this.origin
    if (!now || base.version === now.version || !theirs(base.value, now.value, base.value).length) return
    this.origin = { ...now, ...base }
    this.met = now
  }

  /** Keep the text after a pause, with what it goes on from by then; not one that is as it was. */
  private keepSoon(): void {
    clearTimeout(this.keeping)
    this.keeping = setTimeout(() => {
      const { text, parked, origin: base } = this
      void this.api.keep(this.name, text === this.first ? null : keptText({ text, parked, base }))
    }, KEEP_MS)
  }

  private replaceAll(text: string): void {
    this.change([{ from: 0, to: this.text.length, insert: text }])
  }

  private change(changes: readonly Change[]): void {
    if (!changes.length) return
    if (this.editor) this.editor(changes)
    else this.become(apply(this.text, changes))
  }
}
