/** Making what a new text says: one document or several, in their order. */
import { ApiError, YAML } from '../../api/client'
import type { Api } from '../../api/client'
import { Resources } from '../../api/resources'
import { partsOf } from '../../draft'
import type { Draft, Part } from '../../draft'
import { texts } from '../../texts'
import { faultsOf } from './asking'
import type { Fault } from './asking'

/** What came of it. */
export interface Outcome {
  readonly faults: readonly Fault[]
  /** The server that the form shows, as the API has it, as JSON; empty where it was refused. */
  readonly stored: string
}

export class Creation {
  private readonly resources: Resources
  /** Texts of documents that were made, so that a second try goes on from where the first one ended. */
  private readonly made = new Set<string>()

  constructor(private readonly api: Api) {
    this.resources = new Resources(api)
  }

  /**
   * Ask whether all would be made, without anything being done.
   * @throws {ApiError} The API does not answer.
   */
  async check(draft: Draft): Promise<Outcome> {
    const outcomes = await Promise.all(parts(draft).map((part) => this.send(part, '&dryRun=All')))
    return { faults: outcomes.flatMap((one) => one.faults), stored: outcomes.map((one) => one.stored).join('') }
  }

  /**
   * Make all, up to the first that is refused.
   * @throws {ApiError} The API does not answer.
   */
  async make(draft: Draft): Promise<Outcome> {
    for (const part of parts(draft)) {
      if (this.made.has(part.text)) continue
      const outcome = await this.send(part, '')
      if (outcome.faults.length) return outcome
      this.made.add(part.text)
    }
    return { faults: [], stored: '' }
  }

  private async send(part: Part, query: string): Promise<Outcome> {
    if (this.made.has(part.text)) return { faults: [], stored: '' }
    if (!part.apiVersion || !part.kind) return { faults: [{ field: 'kind', message: texts.edit.noKind, path: ['kind'] }], stored: '' }
    try {
      const path = await this.resources.path(part.apiVersion, part.kind, part.namespace || this.api.session.namespace)
      const answer = await this.api.send('POST', `${path}?fieldManager=console&fieldValidation=Strict${query}`, part.text, YAML)
      return { faults: [], stored: part.isMeant ? await answer.text() : '' }
    } catch (error) {
      if (!(error instanceof ApiError) || error.isAway) throw error
      const faults = faultsOf(error)
      return { faults: part.isMeant ? faults : faults.map((fault) => of(part, fault)), stored: '' }
    }
  }
}

/** All documents; a text that says nothing is one, of which all is missing. */
function parts(draft: Draft): Part[] {
  const found = partsOf(draft)
  return found.length ? found : [{ text: draft.text, apiVersion: '', kind: '', name: '', namespace: '', isMeant: true }]
}

/** A fault of a document that the form does not show: its field is none of the form's. */
function of(part: Part, fault: Fault): Fault {
  return { field: `${part.kind} ${part.name} ${fault.field}`.trimEnd(), message: fault.message, path: [] }
}
