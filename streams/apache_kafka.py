"""A real Apache Kafka on this machine: one node (KRaft), its jars from Maven Central, on Java 17 or later."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import msgspec

from streams.embedded_broker import HOST, free_port, given_or_free, wait_for_interrupt, wait_until_it_listens
from streams.errors import EmberwatchError
from streams.leash import Child
from streams.settings import Settings, variable_of

LEAST_JAVA = 17
READY_WITHIN_S = 60.0
_RECIPE = Path(__file__).resolve().parents[1] / "deploy" / "kafka"


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


@contextlib.contextmanager
def apache_kafka(port: int = 0, *, data: Path | None = None) -> Iterator[str]:
    """Run one node on loopback while the context lasts; gives its address, `host:port`.

    Parameters
    ----------
    port : 0 takes a free one.
    data : folder that keeps its data; without one they are gone at the end.

    Raises `EmberwatchError` where something is missing or it does not start.
    """
    if reason := missing():
        raise EmberwatchError(reason)
    with tempfile.TemporaryDirectory(prefix="emberwatch-kafka-") as scratch:
        folder = data or Path(scratch)
        address = f"{HOST}:{given_or_free(port)}"
        properties = _write_properties(folder, address)
        _format(properties, folder)
        child = Child(_command("kafka.Kafka", str(properties)), log=folder / "kafka.log")
        try:
            _wait_until_it_answers(child, address)
            yield address
        finally:
            child.stop()


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
        wait_for_interrupt()
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


def _command(main_class: str, *arguments: str) -> list[str]:
    options = ["-Xms256m", "-Xmx512m", f"-Dlog4j2.configurationFile={_RECIPE / 'log4j2.properties'}"]
    return [_java(), *options, "-cp", f"{_jars()}/*", main_class, *arguments]


def _write_properties(folder: Path, address: str) -> Path:
    """Recipe and addresses in one file; a folder that has one keeps its controller's port, which its data name."""
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    kept = (
        re.search(r"CONTROLLER://[^:]+:(\d+)", properties.read_text(encoding="utf-8")) if properties.exists() else None
    )
    controller = f"{HOST}:{kept[1] if kept else free_port()}"
    added = [
        f"controller.quorum.bootstrap.servers={controller}",
        f"listeners=PLAINTEXT://{address},CONTROLLER://{controller}",
        f"advertised.listeners=PLAINTEXT://{address},CONTROLLER://{controller}",
        f"log.dirs={folder / 'logs'}",
    ]
    recipe = (_RECIPE / "server.properties").read_text(encoding="utf-8")
    properties.write_text(recipe + "\n" + "\n".join(added) + "\n", encoding="utf-8")
    return properties


def _format(properties: Path, folder: Path) -> None:
    """Give the data folder its identity, once."""
    if (folder / "logs" / "meta.properties").exists():
        return
    identity = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    command = _command(
        "kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={identity}", "-c", str(properties)
    )
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise EmberwatchError(f"the folder of Apache Kafka was not made: {(done.stdout + done.stderr).strip()[:2000]}")


def _wait_until_it_answers(child: Child, address: str) -> None:
    """A node listens before it has joined itself: wait until it knows of a broker."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    wait_until_it_listens(child, address, within_s=READY_WITHIN_S)
    deadline_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline_s and child.exit_status is None:
        with contextlib.suppress(KafkaError):
            admin = KafkaAdminClient(bootstrap_servers=address)
            try:
                if admin.describe_cluster()["brokers"]:
                    return
            finally:
                admin.close()
    raise EmberwatchError(f"Apache Kafka does not answer on {address}: {child.last_words()}")
