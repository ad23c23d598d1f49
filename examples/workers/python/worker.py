"""A shop's worker with pyzeebe: charges cards, packs boxes, re-routes trucks of the "fresh food order"."""

import asyncio
import os

from pyzeebe import Job, ZeebeWorker, create_insecure_channel
from pyzeebe.errors import BusinessError

LIMIT = 100

worker = ZeebeWorker(
    create_insecure_channel(os.environ.get("ZEEBE_ADDRESS", "localhost:26500")),
    name="python-shop",
    stream_enabled=True,
)


@worker.task(task_type="charge-card")
async def charge_card(job: Job, orderId: str, total: float = 0) -> dict:
    if total > LIMIT:
        # The model has a boundary event for it: no incident, no retry.
        raise BusinessError("card-declined", f"{total} is over the limit of {LIMIT}")
    print(f"charged {total} for {orderId}")
    return {"charge": f"ch-{orderId}"}


@worker.task(task_type="pack")
async def pack(orderId: str) -> dict:
    print(f"packed {orderId}")
    return {"truck": f"T-{orderId}"}


@worker.task(task_type="re-route")
async def re_route(orderId: str, temperature: float = 0) -> None:
    print(f"re-routed the truck of {orderId}: {temperature} degrees")


if __name__ == "__main__":
    asyncio.run(worker.work())
