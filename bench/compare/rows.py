"""What is measured of each peer, and what the issue asks of Kapelle for it.

A measurement is one run of a load program; a row of the table reads one figure out of one or several measurements.
"""

from dataclasses import dataclass

PAYLOAD = 700


@dataclass(frozen=True)
class Measurement:
    name: str
    scenario: str
    in_flight: int = 0
    rate: int = 0
    seconds: int = 8
    syncs: bool = False
    disk: bool = False


# Latency first, on a server that has seen no more than its warm-up; messages last, because those that were
# correlated stay buffered for their time to live and their expiry is work too.
MEASUREMENTS = [
    Measurement("one-task at 120/s", "one-task", rate=120, seconds=12),
    Measurement("empty 1", "empty-with-result", in_flight=1, seconds=6),
    Measurement("one-task 1", "one-task", in_flight=1, seconds=6, syncs=True),
    Measurement("empty 64", "empty-with-result", in_flight=64),
    Measurement("one-task 64", "one-task", in_flight=64, seconds=10, syncs=True, disk=True),
    Measurement("one-task 256", "one-task", in_flight=256),
    Measurement("one-task 512", "one-task", in_flight=512, syncs=True),
    Measurement("ten-tasks 64", "ten-tasks", in_flight=64),
    Measurement("ten-tasks 256", "ten-tasks", in_flight=256),
    Measurement("message 64", "message-result", in_flight=64),
    Measurement("message 256", "message-result", in_flight=256),
]


@dataclass(frozen=True)
class Row:
    """`better` is `more` or `less`. With several sources the best of them counts, for Kapelle and for the peers."""

    title: str
    unit: str
    sources: tuple
    field: str
    better: str
    goal: str = ""
    # What Kapelle must reach in its own unit, as the issue works it out from its figures of Camunda.
    limit: float | None = None
    # How many times better than Camunda in this very run.
    times_camunda: float | None = None
    times_restate: float | None = None


def per_second(title, *sources, **more):
    return Row(title, "/s", sources, "perSecond", "more", **more)


ROWS = [
    per_second("one-task instances, 64 in flight", "one-task 64", goal="15,000; 40× Camunda", limit=15000, times_camunda=40),
    per_second("one-task instances, best of 64, 256, 512", "one-task 64", "one-task 256", "one-task 512"),
    per_second("ten-task instances, 64 in flight", "ten-tasks 64", goal="2,500; 30× Camunda", limit=2500, times_camunda=30),
    per_second("ten-task instances, best of 64, 256", "ten-tasks 64", "ten-tasks 256", goal="5× Restate", times_restate=5),
    per_second("message correlations, 64 in flight", "message 64", goal="8,790; 30× Camunda", limit=8790, times_camunda=30),
    per_second("message correlations, best of 64, 256", "message 64", "message 256"),
    per_second("empty process with result, 64 clients", "empty 64", goal="20,600; 25× Camunda", limit=20600, times_camunda=25),
    Row("empty process with result, 1 client, p50", "ms", ("empty 1",), "p50Ms", "less", goal="0.5", limit=0.5),
    Row("start → completed at 120/s, p50", "ms", ("one-task at 120/s",), "p50Ms", "less", goal="0.75; 10× Camunda", limit=0.75, times_camunda=10),
    Row("start → completed at 120/s, p99", "ms", ("one-task at 120/s",), "p99Ms", "less", goal="1.61; 10× Camunda", limit=1.61, times_camunda=10),
    Row("one task, 1 client, p50", "ms", ("one-task 1",), "p50Ms", "less"),
    Row("server CPU per one-task instance, 64 in flight", "ms", ("one-task 64",), "serverCpuMsPerInstance", "less"),
    Row("the same, best of 64, 256, 512", "ms", ("one-task 64", "one-task 256", "one-task 512"), "serverCpuMsPerInstance", "less", goal="0.07", limit=0.07),
    Row("flushes per one-task instance, 1 in flight", "", ("one-task 1",), "syncsPerInstance", "less", goal="2", limit=2.0),
    Row("flushes per one-task instance, 64 in flight", "", ("one-task 64",), "syncsPerInstance", "less", goal="0.08", limit=0.08),
    Row("flushes per one-task instance, 512 in flight", "", ("one-task 512",), "syncsPerInstance", "less", goal="0.02", limit=0.02),
    Row("written to the disk per one-task instance, 64 in flight", "KiB", ("one-task 64",), "diskKib", "less"),
    Row("start to ready, empty", "s", ("start",), "readySeconds", "less"),
    Row("memory idle", "MiB", ("start",), "idleMib", "less"),
    Row("memory under load, 512 in flight", "MiB", ("one-task 512",), "serverMemoryMib", "less"),
]
