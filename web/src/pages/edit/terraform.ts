/** A manifest as a resource of Terraform: pure. Source: https://developer.hashicorp.com/terraform/language/expressions/strings */

export function terraform(manifest: Record<string, unknown>): string {
  const name = String((manifest['metadata'] as { name?: unknown } | undefined)?.name ?? 'server')
  const label = name.replace(/[^A-Za-z0-9_-]/g, '_').replace(/^(?=[^A-Za-z_])/, '_')
  return `resource "kubernetes_manifest" "${label}" {\n  manifest = ${hcl(manifest, 2)}\n}\n`
}

function hcl(value: unknown, indent: number): string {
  const inner = ' '.repeat(indent + 2)
  const end = ' '.repeat(indent)
  if (Array.isArray(value)) {
    if (!value.some((one) => typeof one === 'object' && one !== null)) return `[${value.map((one) => hcl(one, indent)).join(', ')}]`
    return `[\n${value.map((one) => `${inner}${hcl(one, indent + 2)},\n`).join('')}${end}]`
  }
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([key, one]) => `${inner}${/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? key : quoted(key)} = ${hcl(one, indent + 2)}\n`)
    return pairs.length ? `{\n${pairs.join('')}${end}}` : '{}'
  }
  return typeof value === 'string' ? quoted(value) : JSON.stringify(value)
}

/** A string in which nothing is a template. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('${', () => '$${').replaceAll('%{', '%%{')
}
