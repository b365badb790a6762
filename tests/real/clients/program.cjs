// What the programs of both JavaScript clients share: mode and BPMN file as
// arguments, one JSON line for each operation on stdout.

const [mode, file] = process.argv.slice(2)
const process_id = require('node:path').basename(file, '.bpmn')
const job_type = `${process_id}-work`

const pause = (seconds) => new Promise((wake) => setTimeout(wake, 1000 * seconds))

function say(op, ok, status, detail) {
  console.log(JSON.stringify({ op, ok, status, detail }))
}

// 8.6 calls it `key`, 8.7 and later `jobKey`, which is what the types say.
const key_of = (job) => String(job.jobKey ?? job.key)

// Resolves to the answer, or to undefined where the client reports an error.
async function attempt(op, call) {
  try {
    const answer = await call()
    say(op, true, null, answer ?? null)
    return answer
  } catch (error) {
    say(op, false, error.status ?? error.statusCode ?? null, { error: error.name, message: error.message })
    return undefined
  }
}

// `client`: the operations below in that client's own words. `worker(type, seconds, handle)` begins to poll,
// hands each job's key to `handle`, and gives the function that ends it.
async function run(client) {
  if (mode === 'work') return work(client)
  await attempt('topology', () => client.topology())
  await attempt('deploy', () => client.deploy(file))
  const poll = attempt('activate', () => client.activate(job_type, 20))
  await pause(1) // so that the poll is there before the job
  const instance = await attempt('create', () => client.create(process_id))
  const [job] = (await poll) ?? []
  await attempt('complete', () => client.complete(key_of(job)))
  await attempt('wait', () => client.activate('nobodys-work', 2))
  await attempt('cancel', () => client.cancel(String(instance.processInstanceKey)))
  await attempt('search', () => client.search())
  await attempt('publish', () => client.publish())
}

// A worker whose first poll outlives a token of 20 s, and the jobs after it.
async function work(client) {
  await client.deploy(file)
  let completed = 0
  const stop = client.worker(job_type, 25, async (key) => {
    await client.complete(key)
    completed += 1
  })
  await pause(22)
  for (let created = 0; created < 3; created += 1) {
    await client.create(process_id)
    await pause(1)
  }
  await stop()
  say('work', completed === 3, null, { completed })
}

module.exports = { key_of, run }
