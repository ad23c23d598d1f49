// Drives Kapelle with the unmodified @camunda8/orchestration-cluster-api, which is generated from Camunda's OpenAPI
// document, with strict validation: an answer with a missing or an ill-typed member fails. (Not "fanatical", which also
// refuses what is new: this client knows 8.9, and members of 8.10 are required by other clients. And not of requests:
// there it takes a page with a cursor for one with a limit alone, and drops the cursor.)
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";

const require = createRequire(join(process.env.KAPELLE_NODE_HOME ?? process.cwd(), "package.json"));
const { createCamundaClient } = require("@camunda8/orchestration-cluster-api");

// @camunda8/sdk brings an older one (8.8), whose schemas refuse the nulls that this one and all later ones require: where
// that was found instead, nothing below would say so.
const { dependencies } = require("./package.json");
const home = process.env.KAPELLE_NODE_HOME ?? process.cwd();
const installed = JSON.parse(readFileSync(join(home, "node_modules/@camunda8/orchestration-cluster-api/package.json"), "utf8"));
assert.equal(installed.version, dependencies["@camunda8/orchestration-cluster-api"], "the pinned version is installed");

const models = join(dirname(fileURLToPath(import.meta.url)), "..", "models");
const files = readdirSync(models).map((name) => join(models, name));
const run = `rest-${process.pid}`;

const client = createCamundaClient({
  config: {
    CAMUNDA_REST_ADDRESS: process.env.KAPELLE_REST,
    CAMUNDA_AUTH_STRATEGY: "NONE",
    CAMUNDA_SDK_VALIDATION: "req:none,res:strict",
    CAMUNDA_SDK_LOG_LEVEL: "error",
  },
});

// Kapelle's searches see what was written before them: nobody has to wait.
const now = { consistency: { waitUpToMs: 0 } };

const of = (processInstanceKey) => ({ filter: { processInstanceKey } });

async function only(found) {
  const { items, page } = await found;
  assert.equal(items.length, 1);
  assert.equal(page.totalItems, 1);
  return items[0];
}

async function take(type, processInstanceKey) {
  const { jobs } = await client.activateJobs({ type, worker: "test", timeout: 60_000, maxJobsToActivate: 100, requestTimeout: 0 });
  const job = jobs.find((job) => job.processInstanceKey === processInstanceKey);
  assert.ok(job, `no job ${type} of ${processInstanceKey}`);
  return job;
}

async function create(processDefinitionId, variables = {}) {
  const created = await client.createProcessInstance({ processDefinitionId, variables, tags: ["strict"] });
  return created.processInstanceKey;
}

const scenarios = {
  async "topology, license, who I am"() {
    assert.equal((await client.getTopology()).partitionsCount, 1);
    assert.equal((await client.getLicense()).validLicense, true);
    await client.getAuthentication();
  },
  async "deploys files and finds the definitions"() {
    const deployed = await client.deployResourcesFromFiles(files);
    assert.equal(deployed.processes.length, files.length);
    for (const { processDefinitionKey, processDefinitionId } of deployed.processes) {
      const found = await only(client.searchProcessDefinitions({ filter: { processDefinitionKey } }, now));
      assert.equal(found.processDefinitionId, processDefinitionId);
      assert.deepEqual(await client.getProcessDefinition({ processDefinitionKey }, now), found);
      assert.match(await client.getProcessDefinitionXml({ processDefinitionKey }, now), /<bpmn:process/);
    }
    const latest = await client.searchProcessDefinitions(
      { filter: { isLatestVersion: true }, sort: [{ field: "name", order: "DESC" }], page: { limit: 2 } }, now);
    assert.equal(latest.items.length, 2);
  },
  async "a running instance with its elements, jobs and variables"() {
    const processInstanceKey = await create("client-work", { orderId: run, big: "x".repeat(10_000) });
    const found = await only(client.searchProcessInstances(of(processInstanceKey), now));
    assert.equal(found.state, "ACTIVE");
    assert.deepEqual(found.tags, ["strict"]);
    assert.deepEqual(await client.getProcessInstance({ processInstanceKey }, now), found);

    const elements = (await client.searchElementInstances({ ...of(processInstanceKey), sort: [{ field: "startDate" }] }, now)).items;
    assert.deepEqual(elements.map((element) => element.type), ["START_EVENT", "SERVICE_TASK"]);
    for (const element of elements) {
      const { elementInstanceKey } = element;
      assert.deepEqual(await client.getElementInstance({ elementInstanceKey }, now), element);
    }

    const job = await only(client.searchJobs(of(processInstanceKey), now));
    assert.equal(job.state, "CREATED");

    const variables = await client.searchVariables({ ...of(processInstanceKey), sort: [{ field: "name" }] }, now);
    assert.deepEqual(variables.items.map((variable) => [variable.name, variable.isTruncated]), [["big", true], ["orderId", false]]);
    const { variableKey } = variables.items[0];
    assert.equal((await client.getVariable({ variableKey }, now)).value.length, 10_002);
    const whole = await client.searchVariables({ truncateValues: false, filter: { variableKey } }, now);
    assert.equal(whole.items[0].value.length, 10_002);

    await client.completeJob({ jobKey: (await take("client-work", processInstanceKey)).jobKey, variables: { done: true } });
    const done = await only(client.searchJobs(of(processInstanceKey), now));
    assert.equal(done.state, "COMPLETED");
    assert.equal(done.worker, "test");
    assert.equal((await client.getProcessInstance({ processInstanceKey }, now)).state, "COMPLETED");
  },
  async "an incident that is resolved"() {
    const processInstanceKey = await create("client-risky");
    const { jobKey } = await take("client-risky", processInstanceKey);
    await client.failJob({ jobKey, retries: 0, errorMessage: "no luck" });
    const incident = await only(client.searchIncidents(of(processInstanceKey), now));
    assert.equal(incident.errorType, "JOB_NO_RETRIES");
    assert.equal(incident.jobKey, jobKey);
    const { incidentKey } = incident;
    assert.deepEqual(await client.getIncident({ incidentKey }, now), incident);
    assert.equal((await only(client.searchJobs({ filter: { jobKey } }, now))).state, "FAILED");
    const filter = { processInstanceKey, hasIncident: true, errorMessage: { $like: "no*" }, variables: [] };
    await only(client.searchProcessInstances({ filter }, now));
    await client.updateJob({ jobKey, changeset: { retries: 1 } });
    await client.resolveIncident({ incidentKey });
    assert.equal((await client.getIncident({ incidentKey }, now)).state, "RESOLVED");
    await client.throwJobError({ jobKey: (await take("client-risky", processInstanceKey)).jobKey, errorCode: "REFUSED" });
    assert.equal((await only(client.searchJobs({ filter: { jobKey } }, now))).state, "ERROR_THROWN");
    const end = { filter: { processInstanceKey, elementId: "end-refused" } };
    assert.equal((await only(client.searchElementInstances(end, now))).state, "COMPLETED");
  },
  async "a cancelled instance"() {
    const processInstanceKey = await create("client-wait", { orderId: run });
    await client.cancelProcessInstance({ processInstanceKey });
    const found = await client.getProcessInstance({ processInstanceKey }, now);
    assert.equal(found.state, "TERMINATED");
    assert.ok(found.endDate);
  },
  async "operators, alternatives and pages"() {
    const businessKey = `${run}-page`;
    const keys = [];
    for (let i = 0; i < 5; i++) keys.push(await create("client-wait", { orderId: `${businessKey}-${i}` }));
    const filter = { variables: [{ name: "orderId", value: { $like: `"${businessKey}-*"` } }], processDefinitionId: "client-wait" };
    const sort = [{ field: "processInstanceKey", order: "DESC" }];
    const first = await client.searchProcessInstances({ filter, sort, page: { limit: 3 } }, now);
    const second = await client.searchProcessInstances({ filter, sort, page: { limit: 3, after: first.page.endCursor } }, now);
    const back = await client.searchProcessInstances({ filter, sort, page: { limit: 3, before: second.page.startCursor } }, now);
    assert.deepEqual([...first.items, ...second.items].map((found) => found.processInstanceKey), keys.toReversed());
    assert.deepEqual(back.items, first.items);
    const $or = [{ processInstanceKey: keys[0] }, { processInstanceKey: { $in: [keys[1], keys[2]] } }];
    assert.equal((await client.searchProcessInstances({ filter: { state: { $neq: "COMPLETED" }, $or } }, now)).page.totalItems, 3);
  },
  async "what is not there is not found"() {
    for (const get of [
      () => client.getProcessInstance({ processInstanceKey: "1" }, now),
      () => client.getElementInstance({ elementInstanceKey: "1" }, now),
      () => client.getIncident({ incidentKey: "1" }, now),
      () => client.getVariable({ variableKey: "1" }, now),
      () => client.getProcessDefinition({ processDefinitionKey: "1" }, now),
    ]) {
      await assert.rejects(get, (error) => error.status === 404 && /not found/.test(error.detail ?? error.message));
    }
  },
};

let failed = 0;
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("60 s are over")), 60_000); });
    await Promise.race([scenario(), late]).finally(() => clearTimeout(timer));
    console.log(`ok - @camunda8/orchestration-cluster-api ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok - @camunda8/orchestration-cluster-api ${name}: ${error.message} ${JSON.stringify(error.issues ?? "")}`);
  }
}
console.log(`${Object.keys(scenarios).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
