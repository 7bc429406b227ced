"""Workers that are really stuck: a loop that stands, a handler, a rebalance, a broker that froze. Each ends itself."""

import os
import subprocess
import sys

import msgspec
import pytest
from kafka.errors import KafkaError

from streams import apache_kafka, publish, topics
from streams.settings import PREFIX
from streams.watchdog import EXIT_STUCK

pytestmark = pytest.mark.slow

WORKER = """
import asyncio, time
from streams import score_worker, watchdog
from streams.settings import load_settings
from streams import log
watchdog.LOOP_WITHIN_S, watchdog.PROGRESS_WITHIN_S, watchdog.REBALANCE_WITHIN_S = {limits}
async def stuck(self, events):
    {stall}
{stalls}score_worker.ScoreWorker.handle_posts = stuck
settings = load_settings()
log.set_up(settings)
raise SystemExit(score_worker.run(settings))
"""
FAR = 3600.0


@pytest.fixture
def stuck(tmp_path):
    """Starts a score worker that stalls in a way of its own; it is ended with the test."""
    started = []

    def start(settings, *, loop_s=FAR, progress_s=FAR, rebalance_s=FAR, stall="pass"):
        script = WORKER.format(
            limits=(loop_s, progress_s, rebalance_s), stall=stall, stalls="# " if stall == "pass" else ""
        )
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**environment, **settings.environment(), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(10)


@pytest.fixture
def ready(broker, workers, story):
    settings = msgspec.structs.replace(broker, posts_partitions=2)
    topics.create(settings)
    workers.start(settings, "monitor")  # it writes the first configuration
    publish.publish_posts(settings, story.file, speed=0.0)
    return settings


def last_words(process, within_s=120):
    _, words = process.communicate(timeout=within_s)
    return process.returncode, words


@pytest.mark.broker
def test_a_loop_that_stands_ends_the_process(ready, stuck):
    status, words = last_words(stuck(ready, loop_s=3.0, stall="time.sleep(600)"))
    assert status == EXIT_STUCK
    assert "the loop has not turned for" in words


@pytest.mark.broker
def test_a_handler_that_never_returns_ends_the_process_while_records_wait(ready, stuck):
    status, words = last_words(stuck(ready, progress_s=8.0, stall="await asyncio.sleep(600)"))
    assert status == EXIT_STUCK
    assert "none was handled for" in words


@pytest.mark.kafka
def test_a_rebalance_that_waits_for_a_handler_for_ever_ends_the_process(kafka, workers, story, stuck):
    settings = msgspec.structs.replace(kafka, posts_partitions=2)
    topics.create(settings)
    workers.start(settings, "monitor")
    publish.publish_posts(settings, story.file, speed=0.0)
    first = stuck(settings, rebalance_s=5.0, stall="print('stalls', flush=True); await asyncio.sleep(600)")
    workers.until(lambda: first.poll() is not None or handles(settings, first))
    stuck(settings)  # it wants its share of the partitions
    status, words = last_words(first)
    assert status == EXIT_STUCK
    assert "a rebalance has not ended for" in words


def handles(settings, process):
    """Whether the worker has joined: its group has members."""
    from streams.kafka_clients import admin_client

    admin = admin_client(settings)
    try:
        groups = admin.describe_groups([f"{settings.topic_prefix}emberwatch-score"])
        return "Stable" in str(groups)
    except KafkaError:  # the broker has just begun
        return False
    finally:
        admin.close()


@pytest.mark.kafka
def test_a_broker_that_froze_ends_the_process_and_the_next_one_works_again(settings, workers, stuck, story):
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    with apache_kafka.one_node() as node:
        given = msgspec.structs.replace(apache_kafka.settings_for(settings, node.address), posts_partitions=2)
        topics.create(given)
        monitor = workers.start(given, "monitor")
        process = stuck(given, progress_s=10.0)
        workers.until(lambda: process.poll() is not None or handles(given, process))
        workers.kill(monitor)
        node.pause()
        status, words = last_words(process)
        node.resume()
        assert status == EXIT_STUCK
        assert "none was handled for" in words
        workers.start(given, "monitor")
        workers.start(given, "score")
        publish.publish_posts(given, story.file, speed=0.0)
        workers.until_caught_up(given, "score", ["posts"])
