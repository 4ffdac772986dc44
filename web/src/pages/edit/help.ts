/** What the editor says of fields while they are typed and pointed at. */
import { autocompletion } from '@codemirror/autocomplete'
import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete'
import type { Extension } from '@codemirror/state'
import { hoverTooltip } from '@codemirror/view'

import { parse, pathAt, read } from '../../draft'
import { cursorAt } from '../../schema/cursor'
import { choices, kindOf, schemaAt } from '../../schema/schema'
import type { Schema } from '../../schema/schema'

/**
 * Completion and explanation of fields.
 * @param schema Returns the schema; null while it is not known.
 */
export function help(schema: () => Schema | null): Extension {
  return [
    autocompletion({ override: [(context) => completions(schema(), context)], icons: false }),
    hoverTooltip((view, at) => {
      const text = view.state.doc.toString()
      const found = pathAt(parse(text), at)
      const said = found ? schemaAt(schema() ?? {}, found.path) : null
      if (!found || !said?.description) return null
      return { pos: found.from, end: found.to, above: true, create: () => ({ dom: explained(said) }) }
    }),
  ]
}

function completions(schema: Schema | null, context: CompletionContext): CompletionResult | null {
  const text = context.state.doc.toString()
  const cursor = cursorAt(text, context.pos)
  if (!schema || !cursor || (!context.explicit && cursor.from === context.pos && cursor.key === null)) return null
  if (cursor.key !== null) {
    const field = schemaAt(schema, [...cursor.path, cursor.key])
    const values = field ? choices(field) : []
    return values.length ? { from: cursor.from, options: values.map((label) => ({ label })) } : null
  }
  const there = read(parse(text), cursor.path)
  const properties = Object.entries(schemaAt(schema, cursor.path)?.properties ?? {})
  const options = properties.filter(([name]) => !isThere(there, name)).map(([name, one]) => option(name, one))
  return options.length ? { from: cursor.from, options, validFor: /^\w*$/ } : null
}

function option(name: string, schema: Schema): Completion {
  const isOpen = schema.type === 'object' || schema.type === 'array'
  return { label: name, apply: isOpen ? `${name}:` : `${name}: `, detail: kindOf(schema), info: () => explained(schema) }
}

function isThere(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
}

function explained(schema: Schema): HTMLElement {
  const said = document.createElement('div')
  said.className = 'cm-explained'
  said.textContent = [schema.description, schema.default === undefined ? '' : `Default: ${JSON.stringify(schema.default)}.`]
    .filter(Boolean)
    .join(' ')
  return said
}
