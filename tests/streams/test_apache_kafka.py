import logging
import signal
import socket
import time

import pytest

from streams import apache_kafka, kafka_clients, topics
from streams.errors import EmberwatchError


def test_without_its_jars_it_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "make kafka-install" in apache_kafka.missing()
    with pytest.raises(EmberwatchError, match="make kafka-install"), apache_kafka.apache_kafka():
        pass


def fake_java(folder, words):
    (folder / "bin").mkdir()
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho '{words}' >&2\n")
    java.chmod(0o755)


@pytest.mark.parametrize(
    ("words", "version"),
    [('openjdk version "11.0.2"', "11"), ('java version "1.8.0_202"', "8"), ("nothing", "not Java")],
)
def test_an_old_java_is_named(monkeypatch, tmp_path, words, version):
    fake_java(tmp_path, words)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EmberwatchError, match=f"Java 17 or later.* is {version}"):
        apache_kafka._java()


def test_a_new_java_is_taken(monkeypatch, tmp_path):
    fake_java(tmp_path, 'openjdk version "21" 2023-09-19')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert apache_kafka._java() == str(tmp_path / "bin" / "java")


@pytest.mark.kafka
@pytest.mark.slow
def test_what_is_in_its_folder_is_there_again_after_a_restart(settings, tmp_path):
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for run in range(2):
        with apache_kafka.apache_kafka(port, data=tmp_path / "kafka") as address:
            made = topics.create(apache_kafka.settings_for(settings, address))
            assert len(made) == (0 if run else len(topics.TOPICS))
    with pytest.raises(EmberwatchError, match="no Kafka broker answers"):
        kafka_clients.admin_client(apache_kafka.settings_for(settings, address))


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("unasked", [True, False])
def test_a_node_that_died_unasked_is_named_when_it_is_stopped(unasked, caplog):
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    with apache_kafka.one_node() as node, caplog.at_level(logging.ERROR, logger="streams"):
        if unasked:
            node._signal(signal.SIGKILL)
            while node._child.exit_status is None:
                time.sleep(0.05)
        node.stop()
    assert (f"Apache Kafka on {node.address} had ended" in caplog.text) is unasked
