"""A shop's worker with pyzeebe: charges cards, packs boxes, re-routes trucks of the "fresh food order"."""

import asyncio
import os

from pyzeebe import ZeebeTaskRouter, ZeebeWorker, create_insecure_channel
from pyzeebe.errors import BusinessError

LIMIT = 100

shop = ZeebeTaskRouter()


@shop.task(task_type="charge-card")
async def charge_card(orderId: str, total: float = 0) -> dict:
    if total > LIMIT:
        # The model has a boundary event for it: no incident, no retry.
        raise BusinessError("card-declined", f"{total} is over the limit of {LIMIT}")
    print(f"charged {total} for {orderId}")
    return {"charge": f"ch-{orderId}"}


@shop.task(task_type="pack")
async def pack(orderId: str) -> dict:
    print(f"packed {orderId}")
    return {"truck": f"T-{orderId}"}


@shop.task(task_type="re-route")
async def re_route(orderId: str, temperature: float = 0) -> None:
    print(f"re-routed the truck of {orderId}: {temperature} degrees")


async def main() -> None:
    # Inside the event loop: the channel belongs to the loop in which it is made.
    channel = create_insecure_channel(os.environ.get("ZEEBE_ADDRESS", "localhost:26500"))
    worker = ZeebeWorker(channel, name="python-shop", stream_enabled=True)
    worker.include_router(shop)
    await worker.work()


if __name__ == "__main__":
    asyncio.run(main())
