// npm's @camunda8/sdk: its client of the REST API of 8.6 and 8.7.

const { Camunda8 } = require('@camunda8/sdk')
const { key_of, run } = require('./program.cjs')

const client = new Camunda8().getCamundaRestClient()

function worker(type, seconds, handle) {
  const begun = client.createJobWorker({
    type,
    worker: 'ours',
    timeout: 60_000,
    maxJobsToActivate: 1,
    requestTimeout: 1000 * seconds,
    jobHandler: async (job) => {
      await handle(key_of(job))
      return job.forward() // completed by its key
    },
  })
  return () => begun.stop()
}

run({
  topology: () => client.getTopology(),
  deploy: (file) => client.deployResourcesFromFiles([file]),
  create: (processDefinitionId) => client.createProcessInstance({ processDefinitionId, variables: { word: 'größer' } }),
  activate: (type, seconds) =>
    client.activateJobs({
      type,
      worker: 'ours',
      timeout: 60_000,
      maxJobsToActivate: 1,
      requestTimeout: 1000 * seconds,
    }),
  complete: (jobKey) => client.completeJob({ jobKey }),
  cancel: (processInstanceKey) => client.cancelProcessInstance({ processInstanceKey }),
  search: () => client.searchProcessInstances({ filter: {}, sort: [], page: {} }),
  publish: () => client.publishMessage({ name: 'news', correlationKey: 'all', timeToLive: 0, variables: {} }),
  worker,
})
