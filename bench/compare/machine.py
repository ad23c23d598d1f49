"""What the machine and its processes say: CPU, memory, flushes, how busy it is."""

import os
import shutil
import subprocess
import time

# How a program can make the disk flush. A memory-mapped file is flushed by msync.
FLUSHES = ["fsync", "fdatasync", "msync", "syncfs"]


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return None


def busy_share(seconds=1.0):
    """Of all processors, the share that was busy."""

    def read():
        with open("/proc/stat") as stat:
            numbers = [int(n) for n in stat.readline().split()[1:]]
        return sum(numbers[:8]), numbers[3] + numbers[4]

    total, idle = read()
    time.sleep(seconds)
    total_after, idle_after = read()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def count_flushes(pids, seconds):
    """Flushing system calls a second, counted by the kernel; `None` where perf or its tracepoints are missing.

    Not strace: it stops every thread at each call and would measure itself.
    """
    if not shutil.which("perf"):
        return None
    events = ",".join(f"syscalls:sys_enter_{name}" for name in FLUSHES)
    command = ["perf", "stat", "-x", ";", "-e", events, "-p", ",".join(map(str, pids)), "--", "sleep", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True)
    counts = [line.split(";")[0] for line in done.stderr.splitlines() if "sys_enter_" in line]
    if done.returncode != 0 or not counts or not all(c.isdigit() for c in counts):
        return None
    return sum(map(int, counts)) / seconds


def describe():
    model = "unknown processor"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as info:
        gib = int(info.readline().split()[1]) / 1024 / 1024
    kernel = os.uname().release
    return f"{os.cpu_count()} cores ({model}), {gib:.0f} GiB, Linux {kernel}"
