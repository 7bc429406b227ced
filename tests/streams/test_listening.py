"""Whatever listens is reached from this machine alone, unless told otherwise; told otherwise, it demands a token."""

import asyncio
import ipaddress
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import prometheus_client
import pytest

from streams import apache_kafka, embedded_broker, health, topics
from streams.console import server
from streams.console.board import Board
from streams.errors import SettingsError
from streams.metrics import Metrics
from streams.settings import Secret

LISTENS = "0A"
ROOT = Path(__file__).parents[2]

linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc (Linux)")


def family(pid):
    """A process and all that it started, and so on."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += parents.get(found[-1], [])
    return found


def listening(pid):
    """Addresses on which a process or one that it started listens."""
    inodes = set()
    for one in family(pid):
        for handle in Path(f"/proc/{one}/fd").glob("*"):
            try:
                inodes |= set(re.findall(r"^socket:\[(\d+)\]$", str(handle.readlink())))
            except OSError:
                continue
    addresses = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and fields[9] in inodes:
                host, port = fields[1].split(":")
                words = [host[i : i + 8] for i in range(0, len(host), 8)]
                raw = b"".join(bytes.fromhex(word)[::-1] for word in words)
                addresses.append((ipaddress.ip_address(raw), int(port, 16)))
    return addresses


def is_of_this_machine(address):
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@linux
def test_the_scan_finds_what_listens_everywhere():
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        port = everywhere.getsockname()[1]
        [address] = [host for host, at in listening(os.getpid()) if at == port]
    assert not is_of_this_machine(address)


@linux
@pytest.mark.broker
@pytest.mark.slow
def test_workers_and_console_listen_on_loopback_alone(broker, workers):
    topics.create(broker)
    running = [workers.start(broker, stage) for stage in ("monitor", "score")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("EMBERWATCH_")}
    console = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "console"],
        env={**environment, **broker.environment()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for process in (*running, console):
            workers.until(lambda process=process: len(listening(process.pid)) > 0)
        time.sleep(2.0)  # whatever else it may open
        found = [address for process in (*running, console) for address, _ in listening(process.pid)]
    finally:
        console.terminate()
        console.wait(20)
    assert len(found) == 3
    assert all(map(is_of_this_machine, found))


@linux
@pytest.mark.broker
def test_the_embedded_broker_listens_on_loopback_alone():
    before = set(listening(os.getpid()))
    with embedded_broker.embedded_broker() as address:
        fresh = set(listening(os.getpid())) - before
    assert int(address.rpartition(":")[2]) in {port for _, port in fresh}
    assert all(is_of_this_machine(host) for host, _ in fresh)


@linux
@pytest.mark.kafka
@pytest.mark.slow
def test_apache_kafka_listens_on_loopback_alone():
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    before = set(listening(os.getpid()))
    with apache_kafka.apache_kafka() as address:
        fresh = set(listening(os.getpid())) - before
    assert int(address.rpartition(":")[2]) in {port for _, port in fresh}
    assert len(fresh) == 2  # the broker and its controller
    assert all(is_of_this_machine(host) for host, _ in fresh)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "watch.example.org"])
def test_beyond_this_machine_metrics_and_console_demand_a_token(settings, host):
    async def metrics(given):
        runner = await health.start(given, 0, Metrics(prometheus_client.CollectorRegistry(), "score"), health.Checks())
        await runner.cleanup()

    async def console(given):
        runner = await server.start(given, Board(), None, None)
        await runner.cleanup()

    for start, part in ((metrics, "metrics"), (console, "console")):
        open_to_all = msgspec.structs.replace(settings, **{f"{part}_host": host})
        with pytest.raises(SettingsError, match=f"{part.upper()}_TOKEN"):
            asyncio.run(start(open_to_all))
        if host == "0.0.0.0":
            guarded = msgspec.structs.replace(open_to_all, **{f"{part}_token": Secret("a-token")})
            asyncio.run(start(guarded))


def test_every_test_that_the_threat_model_names_is_there():
    text = (ROOT / "deploy" / "security" / "threat-model.md").read_text(encoding="utf-8")
    names = set(re.findall(r"test_[a-z_]+\.py", text))
    there = {file.name for file in (ROOT / "tests").rglob("test_*.py")}
    assert names
    assert names <= there
