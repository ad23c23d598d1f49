"""Drives Kapelle with the unmodified pyzeebe client: what a Python team does in its first week."""

import asyncio
import json
import os
import sys
import urllib.request
from pathlib import Path

from pyzeebe import Job, ZeebeClient, ZeebeWorker, create_insecure_channel
from pyzeebe.errors import ProcessDefinitionNotFoundError, ProcessInstanceNotFoundError
from pyzeebe.grpc_internals.zeebe_adapter import ZeebeAdapter

GRPC = os.environ["KAPELLE_GRPC"]
REST = os.environ["KAPELLE_REST"]
MODELS = Path(__file__).parent.parent / "models"
RUN = f"py-{os.getpid()}"


def rest(method: str, path: str, body: object = None) -> dict:
    """pyzeebe has no search: what gRPC cannot tell is asked over REST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{REST}{path}", data=data, method=method, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        text = response.read()
        return json.loads(text) if text else {}


async def open_incident(instance: int) -> dict:
    for _ in range(100):
        found = rest(
            "POST", "/v2/incidents/search", {"filter": {"processInstanceKey": str(instance), "state": "ACTIVE"}}
        )["items"]
        if found:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError(f"no incident of instance {instance} within 5 s")


async def ended(instance: int) -> dict:
    for _ in range(200):
        found = rest("GET", f"/v2/process-instances/{instance}")
        if found["state"] != "ACTIVE":
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"instance {instance} is still active after 10 s")


class Suite:
    def __init__(self) -> None:
        self.client = ZeebeClient(create_insecure_channel(GRPC))
        self.adapter = ZeebeAdapter(create_insecure_channel(GRPC))

    async def topology_names_one_healthy_leader(self) -> None:
        topology = await self.client.topology()
        assert topology.cluster_size == 1, topology
        assert topology.partitions_count == 1, topology
        assert topology.gateway_version.split(".")[0] == "8", topology

    async def deployed_process_has_key_and_version(self) -> None:
        files = [str(path) for path in sorted(MODELS.glob("*.bpmn"))]
        deployed = await self.client.deploy_resource(*files)
        ids = {p.bpmn_process_id for p in deployed.deployments}
        assert ids == {"client-work", "client-risky", "client-wait"}, ids
        again = await self.client.deploy_resource(*files)
        assert [p.version for p in again.deployments] == [p.version for p in deployed.deployments]

    async def unknown_process_is_not_found(self) -> None:
        try:
            await self.client.run_process("no-such-process")
        except ProcessDefinitionNotFoundError:
            return
        raise AssertionError("a process that does not exist was started")

    async def worker_completes_jobs(self, stream: bool) -> None:
        worker = ZeebeWorker(create_insecure_channel(GRPC), stream_enabled=stream)

        @worker.task(task_type="client-work", max_jobs_to_activate=4)
        async def work(job: Job, number: int) -> dict:
            assert job.custom_headers == {"colour": "green"}, job.custom_headers
            return {"doubled": number * 2}

        task = asyncio.create_task(worker.work())
        try:
            for number in range(5):
                result = await self.client.run_process_with_result("client-work", {"number": number}, timeout=10_000)
                assert result.variables["doubled"] == number * 2, result.variables
        finally:
            await worker.stop()
            task.cancel()

    async def polling_worker_completes_jobs(self) -> None:
        await self.worker_completes_jobs(stream=False)

    async def streaming_worker_completes_jobs(self) -> None:
        await self.worker_completes_jobs(stream=True)

    async def take(self, job_type: str, instance: int) -> Job:
        for _ in range(20):
            async for job in self.adapter.activate_jobs(
                task_type=job_type, worker="test", timeout=30_000, max_jobs_to_activate=1,
                variables_to_fetch=[], request_timeout=2_000, tenant_ids=None,
            ):
                if job.process_instance_key == instance:
                    return job
        raise AssertionError(f"no job {job_type} of instance {instance}")

    async def failed_job_leads_to_an_incident_that_can_be_resolved(self) -> None:
        # Not on the workers' process: a stopped worker's last poll may still take a job.
        created = await self.client.run_process("client-risky", {})
        job = await self.take("client-risky", created.process_instance_key)
        await self.adapter.fail_job(job.key, 1, "first try", 0, {})
        job = await self.take("client-risky", created.process_instance_key)
        await self.adapter.fail_job(job.key, 0, "second try", 0, {"why": "test"})
        incident = await open_incident(created.process_instance_key)
        assert incident["errorType"] == "JOB_NO_RETRIES", incident
        assert "second try" in incident["errorMessage"], incident
        rest("PATCH", f"/v2/jobs/{job.key}", {"changeset": {"retries": 1}})
        rest("POST", f"/v2/incidents/{incident['incidentKey']}/resolution", {})
        job = await self.take("client-risky", created.process_instance_key)
        await self.adapter.complete_job(job.key, {})
        assert (await ended(created.process_instance_key))["state"] == "COMPLETED"

    async def thrown_error_takes_the_boundary_event(self) -> None:
        created = await self.client.run_process("client-risky", {})
        job = await self.take("client-risky", created.process_instance_key)
        await self.adapter.throw_error(job.key, "refused by the test", {}, "REFUSED")
        assert (await ended(created.process_instance_key))["state"] == "COMPLETED"
        elements = rest(
            "POST", "/v2/element-instances/search",
            {"filter": {"processInstanceKey": str(created.process_instance_key), "elementId": "end-refused"}},
        )["items"]
        assert len(elements) == 1, elements

    async def published_message_is_correlated(self) -> None:
        created = await self.client.run_process("client-wait", {"orderId": f"{RUN}-1"})
        await self.client.publish_message("client-paid", f"{RUN}-1", {"amount": 7}, time_to_live_in_milliseconds=5_000)
        assert (await ended(created.process_instance_key))["state"] == "COMPLETED"
        variables = rest(
            "POST", "/v2/variables/search",
            {"filter": {"processInstanceKey": str(created.process_instance_key), "name": "amount"}},
        )["items"]
        assert [v["value"] for v in variables] == ["7"], variables

    async def message_waits_for_its_instance(self) -> None:
        await self.client.publish_message("client-paid", f"{RUN}-2", {}, time_to_live_in_milliseconds=60_000)
        created = await self.client.run_process("client-wait", {"orderId": f"{RUN}-2"})
        assert (await ended(created.process_instance_key))["state"] == "COMPLETED"

    async def cancelled_instance_is_terminated(self) -> None:
        created = await self.client.run_process("client-wait", {"orderId": f"{RUN}-3"})
        await self.client.cancel_process_instance(created.process_instance_key)
        assert (await ended(created.process_instance_key))["state"] == "TERMINATED"
        try:
            await self.client.cancel_process_instance(created.process_instance_key)
        except ProcessInstanceNotFoundError:
            return
        raise AssertionError("an ended instance was cancelled")


SCENARIOS = [
    "topology_names_one_healthy_leader",
    "deployed_process_has_key_and_version",
    "unknown_process_is_not_found",
    "polling_worker_completes_jobs",
    "streaming_worker_completes_jobs",
    "failed_job_leads_to_an_incident_that_can_be_resolved",
    "thrown_error_takes_the_boundary_event",
    "published_message_is_correlated",
    "message_waits_for_its_instance",
    "cancelled_instance_is_terminated",
]


async def main() -> int:
    suite = Suite()
    failed = 0
    for name in SCENARIOS:
        try:
            await asyncio.wait_for(getattr(suite, name)(), 60)
            print(f"ok - pyzeebe {name}")
        except Exception as error:  # a scenario must not hide the next one
            failed += 1
            print(f"not ok - pyzeebe {name}: {type(error).__name__}: {error}")
    print(f"{len(SCENARIOS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
