/** What the API's own schema says of a manifest's fields: pure. */
import type { Path } from '../draft'

/** A schema as OpenAPI has it, as far as it is read here. */
export interface Schema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
  readonly required?: readonly string[]
  readonly allOf?: readonly Schema[]
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string }[]
}

/** What is said of an object that every kind has. */
const METADATA: Schema = {
  type: 'object',
  description: 'What names the server.',
  properties: {
    name: { type: 'string', description: 'The name, unique in the namespace. It stays.' },
    namespace: { type: 'string', description: 'Where the server is. It stays.' },
    labels: { type: 'object', description: 'What it is found by.', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', description: 'Words for programs.', additionalProperties: { type: 'string' } },
  },
}

/** A schema whose `metadata` says something, and without what only the API writes. */
export function ofManifest(schema: Schema): Schema {
  const { status: _, ...properties } = schema.properties ?? {}
  return { ...schema, properties: { ...properties, metadata: METADATA } }
}

/** The schema of what stands at a path; null where it says nothing of it. */
export function schemaAt(schema: Schema, path: Path): Schema | null {
  let found: Schema | undefined = schema
  for (const step of path) {
    found = typeof step === 'number' ? found.items : below(found, step)
    if (!found) return null
  }
  return found
}

function below(schema: Schema, key: string): Schema | undefined {
  const { properties, additionalProperties } = schema
  if (properties && Object.hasOwn(properties, key)) return properties[key]
  return typeof additionalProperties === 'object' ? additionalProperties : undefined
}

/** The values that a field may have, where they are few. */
export function choices(schema: Schema): string[] {
  if (schema.type === 'boolean') return ['true', 'false']
  if (schema.enum) return schema.enum.map(String)
  for (const { rule } of schema['x-kubernetes-validations'] ?? []) {
    const listed = /^self in \[([^\]]*)\]$/.exec(rule)?.[1]
    if (listed) return [...listed.matchAll(/'([^']*)'/g)].map(([, value]) => value ?? '').filter(Boolean)
  }
  return []
}

/** What kind of value a field has, in a word. */
export function kindOf(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string']) return 'quantity'
  if (schema.type === 'array') return `list of ${schema.items ? kindOf(schema.items) : 'anything'}`
  return schema.type ?? 'anything'
}
