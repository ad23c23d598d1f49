"""The engines: how each is had, started, and loaded. Everything fetched is pinned and goes to build/compare.

Durable in all of them: Kapelle syncs its journal before it answers, Zeebe flushes each Raft commit, Restate and Temporal
sync the logs of their databases. Every server listens on loopback, on ports that are not its usual ones, and below those that
the kernel hands out: a client that asks again and again for a port of that range ends up connected to itself.
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "compare"
PROGRAMS = BUILD / "bin"


class Missing(Exception):
    """This peer cannot be had here; the text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def end_cleanly():
    """A termination unwinds, so that no server stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def run(command, **more):
    say(f"$ {' '.join(map(str, command))}")
    try:
        done = subprocess.run(command, stdout=sys.stderr, **more)
    except FileNotFoundError as error:
        raise Missing(f"no program {error.filename}") from error
    if done.returncode != 0:
        raise Missing(f"`{' '.join(map(str, command[:4]))} …` ended with {done.returncode}")


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


def until(what, condition, seconds, processes, pause=0.005):
    deadline = time.monotonic() + seconds
    while not condition():
        for process in processes:
            if process.poll() is not None:
                raise Missing(f"{process.args[0]} ended with {process.returncode} before {what}")
        if time.monotonic() > deadline:
            raise Missing(f"no {what} within {seconds} s")
        time.sleep(pause)


def cargo_build(folder, program):
    """A release build in the folder's target directory or that of `COMPARE_TARGET_<PROGRAM>`, copied, so that nothing
    that is built during the race gets into it. `COMPARE_<PROGRAM>` names a program that is taken as it is."""
    name = program.upper().replace("-", "_")
    built = os.environ.get(f"COMPARE_{name}")
    if built is None:
        directory = pathlib.Path(os.environ.get(f"COMPARE_TARGET_{name}") or folder / "target")
        environment = dict(os.environ, CARGO_TARGET_DIR=str(directory))
        run(["cargo", "build", "--release", "--locked", "--bin", program], cwd=folder, env=environment)
        built = directory / "release" / program
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    shutil.copy2(built, PROGRAMS / program)


class Peer:
    name = ""
    title = ""
    # Seconds of load before anything is measured, and before each measurement.
    warm_up = 3
    warm_up_each = 2
    # Measurements that are beyond it: it would be buried under what it cannot do, and the next ones with it.
    beyond = ()

    def __init__(self):
        self.processes = []
        self.data = BUILD / "data" / f"{self.name}-{os.getpid()}"

    def fetch(self):
        """Brings and builds what is needed; raises `Missing`."""

    def start(self):
        """Returns when it is ready for work."""
        raise NotImplementedError

    def server_pids(self):
        return [self.processes[0].pid]

    def load(self, measurement):
        """The command of the load program, without what is the same for all."""
        raise NotImplementedError

    def spawn(self, command, log, **more):
        self.data.mkdir(parents=True, exist_ok=True)
        with open(BUILD / f"{self.name}-{log}.log", "wb") as output:
            process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **more
            )
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.processes.clear()
        shutil.rmtree(self.data, ignore_errors=True)


class Gateway(Peer):
    """Whatever speaks the Zeebe protocol is loaded by kapelle-load."""

    grpc = ""

    def fetch(self):
        cargo_build(ROOT / "bench" / "load", "kapelle-load")

    def load(self, measurement):
        return [PROGRAMS / "kapelle-load", "--address", f"http://{self.grpc}"]

    def wait_for_leaders(self):
        command = self.load(None) + ["--wait-ready", "120", "--scenario", "topology", "--instances", "1"]
        done = subprocess.run(command + ["--warm-up", "0", "--disk", str(BUILD)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Missing(done.stderr.strip())


class Kapelle(Gateway):
    name = "kapelle"
    title = "Kapelle"
    grpc = "127.0.0.1:27500"
    management = "127.0.0.1:19600"

    def fetch(self):
        super().fetch()
        cargo_build(ROOT, "kapelle")

    def start(self):
        addresses = ["--grpc-address", self.grpc, "--rest-address", "127.0.0.1:18080"]
        addresses += ["--management-address", self.management]
        self.spawn([PROGRAMS / "kapelle", "serve", "--data", self.data, *addresses], "server")
        ready = f"http://{self.management}/readyz"
        until("readiness", lambda: answers(ready), 60, self.processes)
        self.wait_for_leaders()

    def load(self, measurement):
        metrics = ["--metrics", f"http://{self.management}/metrics"]
        return super().load(measurement) + metrics + ["--counter", "kapelle_log_syncs_total"]


class Camunda(Gateway):
    """Camunda 8, the Zeebe broker with its gateway: one partition and flow control, as it comes."""

    name = "zeebe"
    title = "Camunda 8.6.0"
    version = "8.6.0"
    grpc = "127.0.0.1:27500"
    # The just-in-time compiler doubles the rate within the first minute.
    warm_up = 30
    warm_up_each = 3
    more = {}

    @property
    def home(self):
        return BUILD / "zeebe" / f"camunda-zeebe-{self.version}"

    def fetch(self):
        super().fetch()
        newest_java(21)
        folder = BUILD / "zeebe"
        if (self.home / "lib").is_dir():
            return
        artifact = f"io.camunda:camunda-zeebe:{self.version}:tar.gz"
        plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
        run(["mvn", "-q", "-B", f"{plugin}:get", f"-Dartifact={artifact}", "-Dtransitive=false"])
        copy = [f"-Dartifact={artifact}", "-Dmdep.useBaseVersion=true", f"-DoutputDirectory={folder}"]
        run(["mvn", "-q", "-B", f"{plugin}:copy", *copy])
        run(["tar", "-xzf", folder / f"camunda-zeebe-{self.version}.tar.gz", "-C", folder])

    def start(self):
        environment = dict(
            os.environ,
            SPRING_PROFILES_ACTIVE="broker",
            SERVER_PORT="18080",
            MANAGEMENT_SERVER_PORT="19600",
            ZEEBE_BROKER_NETWORK_HOST="127.0.0.1",
            ZEEBE_BROKER_NETWORK_PORTOFFSET="100",
            ZEEBE_BROKER_GATEWAY_ENABLE="true",
            ZEEBE_BROKER_DATA_DIRECTORY=str(self.data),
            ZEEBE_BROKER_DATA_DISK_FREESPACE_PROCESSING="1GB",
            ZEEBE_BROKER_DATA_DISK_FREESPACE_REPLICATION="500MB",
            ZEEBE_BROKER_THREADS_CPUTHREADCOUNT="2",
            ZEEBE_BROKER_THREADS_IOTHREADCOUNT="2",
            **self.more,
        )
        flags = ["--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED"]
        main = ["-cp", "config:lib/*", "io.camunda.application.StandaloneBroker"]
        self.spawn([newest_java(21), *flags, *main], "server", cwd=self.home, env=environment)
        ready = "http://127.0.0.1:19600/actuator/health/readiness"
        until("readiness", lambda: answers(ready), 180, self.processes)
        self.wait_for_leaders()


class CamundaTuned(Camunda):
    name = "zeebe-tuned"
    title = "Camunda 8.6.0, 2 partitions, no flow control"
    more = {
        "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT": "2",
        "ZEEBE_BROKER_BACKPRESSURE_ENABLED": "false",
        "ZEEBE_BROKER_FLOWCONTROL_REQUEST_ENABLED": "false",
    }


class Restate(Peer):
    """A single node as it comes: its log is synced before a step counts as done."""

    name = "restate"
    title = "Restate 1.7.12"
    version = "1.7.12"
    ingress = "127.0.0.1:18080"
    admin = "127.0.0.1:19070"
    services = "127.0.0.1:19080"
    warm_up = 8
    more = {}

    def fetch(self):
        cargo_build(ROOT / "bench" / "compare" / "restate", "restate-load")
        if self.program().exists():
            return
        # The package of the platform itself: the one in front of it only picks it, and brings telemetry along.
        package = f"@restatedev/restate-server-linux-x64@{self.version}"
        folder = BUILD / "restate"
        folder.mkdir(parents=True, exist_ok=True)
        run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", package])

    def program(self):
        return BUILD / "restate" / "node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"

    def start(self):
        environment = dict(
            os.environ,
            RESTATE_DISABLE_TELEMETRY="true",
            RESTATE_LISTEN_MODE="tcp",
            RESTATE_LOG_FILTER="warn",
            RESTATE_BIND_IP="127.0.0.1",
            RESTATE_BIND_PORT="15122",
            RESTATE_INGRESS__BIND_PORT="18080",
            RESTATE_ADMIN__BIND_PORT="19070",
            RESTATE_ADVERTISED_HOST="127.0.0.1",
            RESTATE_NODE_NAME="one",
            RESTATE_BASE_DIR=str(self.data),
            **self.more,
        )
        self.spawn([self.program(), "--no-logo"], "server", cwd=BUILD, env=environment)
        self.spawn([PROGRAMS / "restate-load", "serve", self.services], "services")
        until("admin API", lambda: answers(f"http://{self.admin}/health"), 60, self.processes)
        until("ingress", lambda: answers(f"http://{self.ingress}/restate/health"), 60, self.processes)
        body = json.dumps({"uri": f"http://{self.services}"}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://{self.admin}/deployments", body, headers)
        until("registered handlers", lambda: succeeds(request), 30, self.processes)

    def load(self, measurement):
        # More requests than one connection takes at once need more connections.
        connections = max(1, measurement.in_flight // 64)
        return [PROGRAMS / "restate-load", "load", "--address", f"http://{self.ingress}", "--connections", connections]


class RestateFew(Restate):
    name = "restate-4"
    title = "Restate 1.7.12, 4 partitions"
    more = {"RESTATE_DEFAULT_NUM_PARTITIONS": "4"}


class Temporal(Peer):
    """One process with its four services, on SQLite with full syncs."""

    name = "temporal"
    title = "Temporal 1.32.0 + SQLite"
    address = "127.0.0.1:17233"
    folder = ROOT / "bench" / "compare" / "temporal"
    warm_up = 10
    warm_up_each = 3
    beyond = ("one-task at 120/s", "one-task 256", "one-task 512", "ten-tasks 256", "message 256")

    def fetch(self):
        for program, package in (("temporal-server", "go.temporal.io/server/cmd/server"), ("temporal-load", ".")):
            run(["go", "build", "-o", PROGRAMS / program, package], cwd=self.folder)

    def start(self):
        self.data.mkdir(parents=True, exist_ok=True)
        config = self.data / "config.yaml"
        config.write_text((self.folder / "config.yaml").read_text().replace("DATA", str(self.data)))
        command = [PROGRAMS / "temporal-server", "--config-file", config, "--allow-no-auth", "start"]
        self.spawn(command, "server", cwd=self.data)
        command = [*self.load(None), "--wait-ready", "60", "--seconds", "1", "--warm-up", "0", "--instances", "1"]
        until("answer", lambda: port_open(self.address), 60, self.processes)
        if subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL).returncode != 0:
            raise Missing("no namespace within 60 s")

    def load(self, measurement):
        return [PROGRAMS / "temporal-load", "--address", self.address]


def succeeds(request):
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status in (200, 201)
    except (OSError, http.client.HTTPException):
        return False


def port_open(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    except OSError:
        return False


def newest_java(least):
    """A `java` of at least that version, from JAVA_HOME, the usual folder, or the path."""
    candidates = [pathlib.Path(os.environ["JAVA_HOME"]) / "bin/java"] if "JAVA_HOME" in os.environ else []
    candidates += sorted(pathlib.Path("/usr/lib/jvm").glob("*/bin/java"))
    candidates += [pathlib.Path(found)] if (found := shutil.which("java")) else []
    versions = {}
    for java in candidates:
        text = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
        number = text.split('"')[1].split(".")[0] if '"' in text else "0"
        versions[java] = int(number) if number.isdigit() else 0
    best = max(versions, key=versions.get, default=None)
    if best is None or versions[best] < least:
        raise Missing(f"no JDK of version {least} or newer; set JAVA_HOME")
    return best


PEERS = [Kapelle, Camunda, CamundaTuned, Restate, RestateFew, Temporal]
# What a name on the command line stands for; the columns of the table, with the best of their configurations.
COLUMNS = {
    "kapelle": ["kapelle"],
    "zeebe": ["zeebe", "zeebe-tuned"],
    "restate": ["restate", "restate-4"],
    "temporal": ["temporal"],
}
