"""Fixtures for everyone: settings against a broker that is really there."""

import gc
import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from streams import apache_kafka, embedded_broker
from streams.errors import EmberwatchError
from streams.settings import Settings, load_settings

# Threads of one fit that wait for each other by spinning, beside the workers of other tests, take minutes for seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_numbers = itertools.count(1)

hypothesis.settings.register_profile("machine-may-be-busy", deadline=None)
hypothesis.settings.load_profile("machine-may-be-busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden files again, to be looked at")


_LOGGERS = [logging.getLogger(name) for name in (None, "kafka", "streams")]
_LEVELS = [logger.level for logger in _LOGGERS]
_COLLECTED_AT = gc.get_threshold()


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """Take back what commands that run in this process do to its logs and its garbage collector.

    Before each test too: a command may have run in a fixture that lives longer than one test.
    """
    _take_back()
    yield
    _take_back()


def _take_back() -> None:
    for logger, level in zip(_LOGGERS, _LEVELS, strict=True):
        logger.setLevel(level)
    gc.set_threshold(*_COLLECTED_AT)
    gc.unfreeze()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file, or write it there with --write-golden."""

    def check(file: Path, text: str) -> None:
        if request.config.getoption("--write-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), f"{file} differs; `make golden` writes it again"

    return check


def _settings(tmp_path: Path) -> Settings:
    """Settings of one test: topics and groups of its own, the hash model, free ports, a folder of its own."""
    return load_settings(
        {
            "EMBERWATCH_TOPIC_PREFIX": f"test-{os.getpid()}-{next(_numbers)}.",
            "EMBERWATCH_MODEL": "hash",
            "EMBERWATCH_HASH_SALT": "salt of the tests",
            "EMBERWATCH_METRICS_PORT": "0",
            "EMBERWATCH_CONSOLE_PORT": "0",
            "EMBERWATCH_DATA_DIR": str(tmp_path / "data"),
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings without a broker behind them."""
    return _settings(tmp_path)


@pytest.fixture(scope="session")
def embedded_address() -> Iterator[str]:
    try:
        with embedded_broker.embedded_broker() as address:
            yield address
    except EmberwatchError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka_address() -> Iterator[str]:
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    with apache_kafka.apache_kafka() as address:
        yield address


@pytest.fixture
def broker(embedded_address: str, tmp_path: Path) -> Settings:
    """Settings against the embedded broker; the topics are not made yet (`topics.create(broker)`)."""
    return embedded_broker.settings_for(_settings(tmp_path), embedded_address)


@pytest.fixture
def kafka(kafka_address: str, tmp_path: Path) -> Settings:
    """Settings against Apache Kafka; the topics are not made yet (`topics.create(kafka)`)."""
    return apache_kafka.settings_for(_settings(tmp_path), kafka_address)


@pytest.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.broker), pytest.param("apache", marks=pytest.mark.kafka)]
)
def each_broker(request: pytest.FixtureRequest) -> Settings:
    """Settings against the embedded broker, then against Apache Kafka."""
    given: Settings = request.getfixturevalue({"embedded": "broker", "apache": "kafka"}[request.param])
    return given
