// Holds requests and answers against the schemas that npm's @camunda8/orchestration-cluster-api ships (zod).
// stdin: one JSON object a line, {"op": "activateJobs", "part": "Data" | "Response", "value": ...}; of a request the
// value is {"body": ...} with "path" where the operation has one. stdout: for each line its findings, a JSON list.
// Run beside node_modules: schemas are an internal file of the package, whose name has a hash.
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const dist = 'node_modules/@camunda8/orchestration-cluster-api/dist'
const file = readdirSync(dist).find((name) => /^zod\.gen-.*\.js$/.test(name))
const schemas = await import(pathToFileURL(`${dist}/${file}`))

for await (const line of createInterface({ input: process.stdin })) {
  const { op, part, value } = JSON.parse(line)
  const schema = schemas[`z${op[0].toUpperCase()}${op.slice(1)}${part}`]
  if (!schema) throw new Error(`the package has no schema of ${op}'s ${part}`)
  const { error } = schema.safeParse(value)
  console.log(JSON.stringify((error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`)))
}
