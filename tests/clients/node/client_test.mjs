// Drives Kapelle with the unmodified @camunda8/sdk, over both of its APIs: gRPC (Zeebe) and REST (Camunda 8).
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";

const require = createRequire(join(process.env.KAPELLE_NODE_HOME ?? process.cwd(), "package.json"));
const { Camunda8 } = require("@camunda8/sdk");

const models = join(dirname(fileURLToPath(import.meta.url)), "..", "models");
const files = readdirSync(models).map((name) => join(models, name));
const run = `node-${process.pid}`;

const camunda = new Camunda8({
  CAMUNDA_OAUTH_DISABLED: true,
  CAMUNDA_AUTH_STRATEGY: "NONE",
  ZEEBE_GRPC_ADDRESS: `grpc://${process.env.KAPELLE_GRPC}`,
  ZEEBE_REST_ADDRESS: process.env.KAPELLE_REST,
  zeebeGrpcSettings: { ZEEBE_CLIENT_LOG_LEVEL: "NONE" },
  CAMUNDA_LOG_LEVEL: "none",
});
const grpc = camunda.getZeebeGrpcApiClient();
const rest = camunda.getCamundaRestClient();

async function eventually(what, probe) {
  for (let i = 0; i < 200; i++) {
    const found = await probe();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${what}: not within 10 s`);
}

const instance = (key) => rest.searchProcessInstances({ filter: { processInstanceKey: key } }).then((r) => r.items[0]);
const ended = (key) => eventually(`end of instance ${key}`, async () => {
  const found = await instance(key);
  return found && found.state !== "ACTIVE" ? found : undefined;
});

async function takeRest(type, key) {
  return eventually(`job ${type} of ${key}`, async () => {
    const jobs = await rest.activateJobs({ type, worker: "test", timeout: 30_000, maxJobsToActivate: 10, requestTimeout: 2_000 });
    return jobs.find((job) => job.processInstanceKey === key);
  });
}

const scenarios = {
  async "gRPC: topology names one leader"() {
    const topology = await grpc.topology();
    assert.equal(topology.clusterSize, 1);
    assert.equal(topology.brokers[0].partitions[0].role, "LEADER");
  },
  async "REST: topology"() {
    const topology = await rest.getTopology();
    assert.equal(topology.partitionsCount, 1);
    assert.match(topology.gatewayVersion, /^8\./);
  },
  async "REST: deploys files"() {
    const deployed = await rest.deployResourcesFromFiles(files);
    assert.equal(deployed.processes.length, 3);
  },
  async "gRPC: the same files again are the same version"() {
    const file = { processFilename: files.find((name) => name.endsWith("client-work.bpmn")) };
    const first = await grpc.deployResource(file);
    const again = await grpc.deployResource(file);
    assert.equal(again.deployments[0].process.version, first.deployments[0].process.version);
  },
  async "gRPC: polling worker completes jobs, result comes back"() {
    const worker = grpc.createWorker({
      taskType: "client-work",
      taskHandler: (job) => {
        assert.equal(job.customHeaders.colour, "green");
        return job.complete({ doubled: job.variables.number * 2 });
      },
    });
    for (let number = 0; number < 5; number++) {
      const result = await grpc.createProcessInstanceWithResult({ bpmnProcessId: "client-work", variables: { number }, requestTimeout: 10_000 });
      assert.equal(result.variables.doubled, number * 2);
    }
    await worker.close();
  },
  async "gRPC: streaming worker completes jobs"() {
    const stream = await grpc.streamJobs({
      type: "client-work",
      worker: "stream",
      timeout: 30_000,
      taskHandler: (job) => job.complete({ doubled: job.variables.number * 2 }),
    });
    for (let number = 0; number < 5; number++) {
      const result = await grpc.createProcessInstanceWithResult({ bpmnProcessId: "client-work", variables: { number }, requestTimeout: 10_000 });
      assert.equal(result.variables.doubled, number * 2);
    }
    stream.close();
  },
  async "REST: job worker completes jobs, result comes back"() {
    const worker = rest.createJobWorker({
      type: "client-work",
      worker: "rest",
      maxJobsToActivate: 4,
      timeout: 30_000,
      jobHandler: (job) => job.complete({ doubled: job.variables.number * 2 }),
    });
    const result = await rest.createProcessInstanceWithResult({ processDefinitionId: "client-work", variables: { number: 21 }, requestTimeout: 10_000 });
    assert.equal(result.variables.doubled, 42);
    worker.stop();
  },
  async "REST: failing leads to an incident, resolving goes on"() {
    // Not on the workers' process: a stopped worker's last poll may still take a job.
    const created = await rest.createProcessInstance({ processDefinitionId: "client-risky", variables: {} });
    const job = await takeRest("client-risky", created.processInstanceKey);
    await job.fail({ errorMessage: "broken on purpose", retries: 0 });
    const incident = await eventually("incident", async () =>
      (await rest.searchIncidents({ filter: { processInstanceKey: created.processInstanceKey, state: "ACTIVE" } })).items[0]);
    assert.equal(incident.errorType, "JOB_NO_RETRIES");
    await rest.updateJob({ jobKey: job.jobKey, retries: 1 });
    await rest.resolveIncident(incident.incidentKey);
    const again = await takeRest("client-risky", created.processInstanceKey);
    await again.complete({});
    assert.equal((await ended(created.processInstanceKey)).state, "COMPLETED");
  },
  async "REST: thrown error takes the boundary event"() {
    const created = await rest.createProcessInstance({ processDefinitionId: "client-risky", variables: {} });
    const job = await takeRest("client-risky", created.processInstanceKey);
    await job.error({ errorCode: "REFUSED", errorMessage: "refused by the test" });
    assert.equal((await ended(created.processInstanceKey)).state, "COMPLETED");
  },
  async "gRPC: published message is correlated"() {
    const created = await grpc.createProcessInstance({ bpmnProcessId: "client-wait", variables: { orderId: `${run}-1` } });
    await grpc.publishMessage({ name: "client-paid", correlationKey: `${run}-1`, variables: { amount: 7 }, timeToLive: 5_000 });
    assert.equal((await ended(created.processInstanceKey)).state, "COMPLETED");
  },
  async "REST: correlated message names its instance"() {
    const created = await rest.createProcessInstance({ processDefinitionId: "client-wait", variables: { orderId: `${run}-2` } });
    const correlated = await rest.correlateMessage({ name: "client-paid", correlationKey: `${run}-2`, variables: { amount: 8 } });
    assert.equal(correlated.processInstanceKey, created.processInstanceKey);
    assert.equal((await ended(created.processInstanceKey)).state, "COMPLETED");
  },
  async "gRPC: variables are set and read back"() {
    const created = await grpc.createProcessInstance({ bpmnProcessId: "client-wait", variables: { orderId: `${run}-3` } });
    await grpc.setVariables({ elementInstanceKey: created.processInstanceKey, variables: { colour: "blue" }, local: false });
    const found = await rest.searchVariables({ filter: { processInstanceKey: created.processInstanceKey, name: "colour" } });
    assert.equal(found.items[0].value, '"blue"');
    await grpc.cancelProcessInstance(created.processInstanceKey);
    assert.equal((await ended(created.processInstanceKey)).state, "TERMINATED");
  },
};

let failed = 0;
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("60 s are over")), 60_000); });
    await Promise.race([scenario(), late]).finally(() => clearTimeout(timer));
    console.log(`ok - @camunda8/sdk ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok - @camunda8/sdk ${name}: ${error.message}`);
  }
}
console.log(`${Object.keys(scenarios).length - failed} passed, ${failed} failed`);
await Promise.race([grpc.close(), new Promise((done) => setTimeout(done, 2_000))]);
process.exit(failed ? 1 : 0);
