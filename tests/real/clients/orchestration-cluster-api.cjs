// npm's @camunda8/orchestration-cluster-api.

const { createCamundaClient } = require('@camunda8/orchestration-cluster-api')
const { key_of, run } = require('./program.cjs')

const client = createCamundaClient()

async function activate(type, seconds) {
  const wish = { type, timeout: 60_000, maxJobsToActivate: 1, requestTimeout: 1000 * seconds }
  return (await client.activateJobs(wish)).jobs
}

function worker(jobType, seconds, handle) {
  const begun = client.createJobWorker({
    jobType,
    jobTimeoutMs: 60_000,
    maxParallelJobs: 1,
    pollTimeoutMs: 1000 * seconds,
    jobHandler: async (job) => {
      await handle(key_of(job))
      return job.ignore() // completed by its key
    },
  })
  return () => begun.stop()
}

run({
  topology: () => client.getTopology(),
  deploy: (file) => client.deployResourcesFromFiles([file]),
  create: (processDefinitionId) => client.createProcessInstance({ processDefinitionId, variables: { word: 'größer' } }),
  activate,
  complete: (jobKey) => client.completeJob({ jobKey }),
  cancel: (processInstanceKey) => client.cancelProcessInstance({ processInstanceKey }),
  search: () => client.searchProcessInstances({}, { consistency: { waitUpToMs: 0 } }),
  publish: () => client.publishMessage({ name: 'news', correlationKey: 'all', timeToLive: 0 }),
  worker,
})
