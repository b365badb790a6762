// npm's @camunda8/sdk: its client of the REST API of 8.6 and 8.7.

const { Camunda8 } = require('@camunda8/sdk')
const { run } = require('./program.cjs')

const client = new Camunda8().getCamundaRestClient()

function worker(type, seconds, handle) {
  const begun = client.createJobWorker({
    type,
    worker: 'ours',
    timeout: 60_000,
    maxJobsToActivate: 1,
    requestTimeout: 1000 * seconds,
    jobHandler: async (job) => {
      await handle(String(job.key))
      return job.forward() // its own `complete` takes `jobKey`, which 8.6 does not send
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
