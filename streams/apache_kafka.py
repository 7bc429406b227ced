"""A real Apache Kafka on this machine: one node (KRaft) or several, jars from Maven Central, on Java 17 or later."""

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from streams.embedded_broker import HOST, free_port, given_or_free, wait_for_interrupt, wait_until_it_listens
from streams.errors import EmberwatchError
from streams.leash import Child
from streams.settings import Secret, Settings, variable_of

_log = logging.getLogger(__name__)

LEAST_JAVA = 17
READY_WITHIN_S = 60.0
_COPIES = (
    "offsets.topic.replication.factor=3",
    "transaction.state.log.replication.factor=3",
    "transaction.state.log.min.isr=2",
)
"""Of a cluster of three: what groups and transactions have reached survives the loss of a node."""
_RECIPE = Path(__file__).resolve().parents[1] / "deploy" / "kafka"


class Walls(Struct, frozen=True, kw_only=True):
    """What makes a node speak to those it knows alone."""

    properties: str
    """Settings of the node beside those of the recipe, one a line."""
    users: Mapping[str, Secret]
    """Who can log in with SCRAM-SHA-512 from the start; written when its folder is formatted."""
    connection: Mapping[str, Any]
    """How a client of ours asks whether it answers (`kafka_clients.connection_options`)."""


def cache_folder() -> Path:
    """Where jars and data are kept: `$XDG_CACHE_HOME/emberwatch/kafka`, else below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emberwatch" / "kafka"


def missing() -> str | None:
    """What keeps Apache Kafka from running here, in words; None if nothing does."""
    if not _RECIPE.is_dir():
        return "Apache Kafka is started from a checkout of the project (it needs deploy/kafka)"
    if not _jars().is_dir():
        return f"Apache Kafka is not installed (no {_jars()}); `make kafka-install` does it"
    try:
        _java()
    except EmberwatchError as error:
        return str(error)
    return None


class Node:
    """One node, broker and controller in one process; it can be stopped and started again on its data.

    Parameters
    ----------
    folder : keeps its data and its log.
    address : `host:port` on loopback, of the broker.
    number : its id in the cluster.
    voters : `id@host:port` of every controller of a cluster; empty for a node that is alone.
    heap_mb : most memory of its heap.
    walls : without any, whoever reaches the port may do everything.
    more : settings of the node beside those of the recipe, one a line.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        *,
        number: int = 1,
        voters: Sequence[str] = (),
        heap_mb: int = 512,
        walls: Walls | None = None,
        more: str = "",
    ) -> None:
        self.address = address
        self._folder = folder
        self._heap_mb = heap_mb
        self._walls = walls
        extra = [*(walls.properties.splitlines() if walls else ()), *more.splitlines()]
        self._properties = _write_properties(
            folder, address, number, voters, listener="SASL_SSL" if walls else "PLAINTEXT", extra=extra
        )
        self._standalone = not voters
        self._child: Child | None = None

    def format(self, identity: str) -> None:
        """Give the data folder the identity of its cluster, once."""
        users = self._walls.users if self._walls else {}
        _format(self._properties, self._folder, identity, standalone=self._standalone, users=users)

    def start(self) -> None:
        """Start it; it may not answer yet."""
        self._child = Child(
            _command("kafka.Kafka", str(self._properties), heap_mb=self._heap_mb), log=self._folder / "kafka.log"
        )

    def wait(self) -> None:
        """Wait until it answers; raises `EmberwatchError` where it does not."""
        assert self._child is not None
        _wait_until_it_answers(self._child, self.address, self._walls.connection if self._walls else {})

    def stop(self) -> None:
        """End it, in order; says so where it had ended unasked."""
        if self._child is not None and (status := self._child.exit_status) is not None:
            _log.error("Apache Kafka on %s had ended (status %s): %s", self.address, status, self._child.last_words())
        self._end()

    def pause(self) -> None:
        """Freeze its process: it takes connections and does not answer."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a machine that fails does."""
        self._signal(signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._child is not None
        self._child.send(number)


@contextlib.contextmanager
def one_node(port: int = 0, *, data: Path | None = None, walls: Walls | None = None, more: str = "") -> Iterator[Node]:
    """Run one node on loopback while the context lasts.

    Parameters
    ----------
    port : 0 takes a free one.
    data : folder that keeps its data; without one they are gone at the end.
    walls, more : as `Node` has them.

    Raises `EmberwatchError` where something is missing or it does not start.
    """
    if reason := missing():
        raise EmberwatchError(reason)
    with tempfile.TemporaryDirectory(prefix="emberwatch-kafka-") as scratch:
        node = Node(data or Path(scratch), f"{HOST}:{given_or_free(port)}", walls=walls, more=more)
        node.format(_new_identity())
        try:
            node.start()
            node.wait()
            yield node
        finally:
            node.stop()


@contextlib.contextmanager
def several_nodes(count: int = 3) -> Iterator[list[Node]]:
    """Run a cluster on loopback while the context lasts, each node with a copy of every record that asks for it.

    Raises `EmberwatchError` where something is missing or it does not start.
    """
    if reason := missing():
        raise EmberwatchError(reason)
    voters = [f"{number}@{HOST}:{free_port()}" for number in range(1, count + 1)]
    with tempfile.TemporaryDirectory(prefix="emberwatch-kafka-") as scratch:
        nodes = [
            Node(Path(scratch) / str(number), f"{HOST}:{free_port()}", number=number, voters=voters, heap_mb=256)
            for number in range(1, count + 1)
        ]
        identity = _new_identity()
        for node in nodes:
            node.format(identity)
        try:
            for node in nodes:
                node.start()
            for node in nodes:
                node.wait()
            yield nodes
        finally:
            for node in nodes:
                node.stop()


@contextlib.contextmanager
def apache_kafka(
    port: int = 0, *, data: Path | None = None, walls: Walls | None = None, more: str = ""
) -> Iterator[str]:
    """Run one node as `one_node` does; gives its address, `host:port`."""
    with one_node(port, data=data, walls=walls, more=more) as node:
        yield node.address


def settings_for(settings: Settings, address: str) -> Settings:
    """The same settings, against the node at `address`."""
    return msgspec.structs.replace(
        settings, broker=address, embedded=False, replication=1, security_protocol="PLAINTEXT"
    )


def install() -> Path:
    """Fetch the jars with Maven into the cache folder, unless they are there; gives the folder."""
    jars = _jars()
    if jars.is_dir():
        return jars
    if not _RECIPE.is_dir():
        raise EmberwatchError(missing() or "")
    maven = shutil.which("mvn")
    if maven is None:
        raise EmberwatchError("there is no Maven (`mvn`) on this machine; `apt-get install maven` brings one")
    fetched = jars.with_name(f"{jars.name}.{os.getpid()}.part")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
    done = subprocess.run(  # noqa: S603
        [maven, "-q", "-B", "-f", str(_RECIPE / "pom.xml"), *goal], check=False, capture_output=True, text=True
    )
    if done.returncode:
        shutil.rmtree(fetched, ignore_errors=True)
        raise EmberwatchError(f"Maven could not fetch Apache Kafka: {(done.stdout + done.stderr).strip()[:2000]}")
    fetched.rename(jars)  # all of it or nothing
    return jars


def run_install(_settings: Settings) -> int:
    """Fetch the jars and say where they are."""
    import click

    jars = install()
    click.echo(f"Apache Kafka is in {jars} ({len(list(jars.glob('*.jar')))} jars).")
    return 0


def run_start(settings: Settings, *, port: int, fresh: bool) -> int:
    """Run one node in the foreground until Ctrl-C, its topics made; its data are kept."""
    import click

    from streams import topics

    data = cache_folder() / f"data-{port}"
    if fresh:
        shutil.rmtree(data, ignore_errors=True)
    with apache_kafka(port, data=data if port else None) as address:
        topics.create(settings_for(settings, address))
        click.echo(f"Apache Kafka listens on {address}; its topics are made. Ctrl-C ends it.")
        click.echo(f"In other terminals: export {variable_of('broker')}={address}")
        wait_for_interrupt(address)
        click.echo("Ending ...")
    click.echo(f"Apache Kafka has ended. {'What it held is kept in ' + str(data) if port else 'What it held is gone'}.")
    return 0


def _jars() -> Path:
    """Folder of the jars, named after the recipe's versions: another recipe is another folder."""
    versions = re.findall(r"<version>([\d.]{3,})</version>", (_RECIPE / "pom.xml").read_text(encoding="utf-8"))
    return cache_folder() / f"jars-{versions[0]}-{versions[1]}"


def _java() -> str:
    """Path of a Java that is new enough: that of `JAVA_HOME`, else the first on the path."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        raise EmberwatchError(
            f"Apache Kafka needs Java {LEAST_JAVA} or later, and there is none; `apt-get install default-jre-headless`"
        )
    words = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr  # noqa: S603
    version = re.search(r'version "(?:1\.)?(\d+)', words)
    if version is None or int(version[1]) < LEAST_JAVA:
        raise EmberwatchError(
            f"Apache Kafka needs Java {LEAST_JAVA} or later; {java} is {version[1] if version else 'not Java'}"
        )
    return java


def _command(main_class: str, *arguments: str, heap_mb: int = 256) -> list[str]:
    options = ["-Xms128m", f"-Xmx{heap_mb}m", f"-Dlog4j2.configurationFile={_RECIPE / 'log4j2.properties'}"]
    return [_java(), *options, "-cp", f"{_jars()}/*", main_class, *arguments]


def _write_properties(
    folder: Path, address: str, number: int, voters: Sequence[str], *, listener: str, extra: Sequence[str]
) -> Path:
    """Recipe and addresses in one file; a folder that has one keeps its controller's port, which its data name."""
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    kept = (
        re.search(r"CONTROLLER://[^:]+:(\d+)", properties.read_text(encoding="utf-8")) if properties.exists() else None
    )
    if voters:
        controller = next(voter.partition("@")[2] for voter in voters if voter.startswith(f"{number}@"))
        quorum = [f"controller.quorum.voters={','.join(voters)}", *_COPIES]
    else:
        controller = f"{HOST}:{kept[1] if kept else free_port()}"
        quorum = [f"controller.quorum.bootstrap.servers={controller}"]
    added = [
        f"node.id={number}",
        *quorum,
        f"listeners={listener}://{address},CONTROLLER://{controller}",
        f"advertised.listeners={listener}://{address},CONTROLLER://{controller}",
        f"inter.broker.listener.name={listener}",
        f"log.dirs={folder / 'logs'}",
        *extra,
    ]
    names = {line.partition("=")[0] for line in added}
    recipe = (_RECIPE / "server.properties").read_text(encoding="utf-8").splitlines()
    lines = [line for line in recipe if line.partition("=")[0] not in names]
    properties.touch(mode=0o600)
    properties.write_text("\n".join([*lines, *added]) + "\n", encoding="utf-8")
    return properties


def _new_identity() -> str:
    return urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def _format(properties: Path, folder: Path, identity: str, *, standalone: bool, users: Mapping[str, Secret]) -> None:
    """Give the data folder its identity, once."""
    if (folder / "logs" / "meta.properties").exists():
        return
    alone = ["--standalone"] if standalone else []
    command = _command("kafka.tools.StorageTool", "format", *alone, f"--cluster-id={identity}", "-c", str(properties))
    for name, password in users.items():
        command += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password.reveal()}]"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise EmberwatchError(f"the folder of Apache Kafka was not made: {(done.stdout + done.stderr).strip()[:2000]}")


def _wait_until_it_answers(child: Child, address: str, connection: Mapping[str, Any]) -> None:
    """A node listens before it has joined itself: wait until it knows of a broker."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    wait_until_it_listens(child, address, within_s=READY_WITHIN_S)
    deadline_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline_s and child.exit_status is None:
        with contextlib.suppress(KafkaError):
            admin = KafkaAdminClient(**{**connection, "bootstrap_servers": address})
            try:
                if admin.describe_cluster()["brokers"]:
                    return
            finally:
                admin.close()
    raise EmberwatchError(f"Apache Kafka does not answer on {address}: {child.last_words()}")
