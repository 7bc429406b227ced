import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams import embedded_broker, kafka_clients, topics
from streams.errors import EmberwatchError

STARTS_A_BROKER = """
import sys, time
from streams.embedded_broker import embedded_broker
with embedded_broker() as address:
    print(address, flush=True)
    time.sleep(600)
"""


def listens(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0


def test_the_broker_listens_while_the_context_lasts_and_not_after():
    with embedded_broker.embedded_broker() as address:
        assert listens(address)
    assert not listens(address)


def test_the_broker_ends_when_the_process_that_started_it_is_killed():
    child = subprocess.Popen([sys.executable, "-c", STARTS_A_BROKER], stdout=subprocess.PIPE, text=True)
    address = child.stdout.readline().strip()
    assert listens(address)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    deadline_s = time.monotonic() + 10.0
    while listens(address) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not listens(address)


def children(process_id):
    task = Path(f"/proc/{process_id}/task/{process_id}/children")
    return [int(one) for one in task.read_text().split()]


def test_a_broker_in_the_foreground_that_dies_ends_the_command_and_is_named():
    command = [sys.executable, "-m", "streams.cli", "broker", "start", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        address = re.search(r"listens on (\S+);", started.stdout.readline()).group(1)
        [leash] = children(started.pid)
        [broker] = children(leash)
        os.kill(broker, signal.SIGKILL)
        _, words = started.communicate(timeout=30)
    assert started.returncode == 1
    assert f"the broker on {address} has ended unasked" in words


def test_a_taken_port_is_named_in_the_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmberwatchError, match=f"port {port} .* is taken"), embedded_broker.embedded_broker(port):
            pass


def test_a_machine_without_a_binary_is_told_what_to_do_instead(monkeypatch):
    monkeypatch.setenv("CALF_TANSU_BIN", "/nonexistent/broker")
    with pytest.raises(EmberwatchError, match="make kafka"), embedded_broker.embedded_broker():
        pass


@pytest.mark.broker
def test_the_embedded_broker_says_that_it_is_one(broker):
    admin = kafka_clients.admin_client(broker)
    try:
        assert topics.is_embedded(admin)
    finally:
        admin.close()
