import re
import time

import msgspec
import pytest

from detectors.codec import decode_state, encode_entry, encode_record, encode_state
from detectors.embedding import HashEncoder
from detectors.entries import ConfigurationEntry, Origin, ScoredPost, SourceEnd, Tick
from detectors.monitor import fold, new_state
from detectors.posts import decode_post
from detectors.records import Alert, Narrative, NarrativeChange
from detectors.scoring import Scorer
from streams import publish, topics
from streams.control_records import last_configuration
from streams.errors import SettingsError
from streams.heads import load_weights
from streams.json_lines import read_lines
from streams.kafka_clients import producer, read_to_end
from streams.monitor_worker import ensure_configuration
from streams.topics import topic_name

SPACE = HashEncoder().space


@pytest.fixture(scope="session")
def entries(story):
    """The story as journal entries, as if scored at full speed."""
    scorer = Scorer(HashEncoder(), load_weights(SPACE), cache_texts=1000)
    posts = [decode_post(line.value) for line in read_lines(story.file)]
    scored = scorer.score([(post, Origin("posts", 0, number), 0.0) for number, post in enumerate(posts)])
    return [*scored, SourceEnd(origin=Origin("posts", 0, len(scored)))]


def _begin(settings):
    configuration = ensure_configuration(settings)
    _append(settings, [ConfigurationEntry(origin=Origin("configuration", 0, 0), configuration=configuration)])


def _append(settings, entries):
    sender = producer(settings)
    deliveries = [
        sender.send(topic_name(settings, "journal"), value=encode_entry(entry), partition=0) for entry in entries
    ]
    for delivery in deliveries:
        delivery.get(20)
    sender.close()


def _loaded_from(folder, number):
    """Offset of the snapshot that a worker has begun from, as its log says."""
    [log] = folder.glob(f"monitor-{number}.log")
    return int(re.search(r"snapshot up to offset (\d+)", log.read_text()).group(1))


def _published(outputs):
    return [encode_record(one) for one in outputs if isinstance(one, Alert | Narrative | NarrativeChange)]


@pytest.mark.parametrize("cut", range(50, 600, 75))
def test_a_state_that_was_read_back_publishes_the_same_bytes(entries, cut):
    items = list(enumerate(entries))
    whole = _published(fold(new_state(), items))
    state = new_state()
    before = _published(fold(state, items[:cut]))
    snapshot = encode_state(state)
    after = _published(fold(decode_state(snapshot.manifest, snapshot.chunks), items[cut:]))
    assert before + after == whole


@pytest.mark.slow
def test_a_monitor_goes_on_from_its_snapshot_and_publishes_nothing_twice(
    each_broker, workers, entries, oracle, tmp_path
):
    settings = msgspec.structs.replace(each_broker, posts_partitions=1, snapshot_every_s=3600.0)
    topics.create(settings)
    _begin(settings)
    first = workers.start(settings, "monitor")
    _append(settings, entries[:400])
    workers.until_caught_up(settings, "monitor", ["journal"])
    assert workers.stop(first) == 0
    _append(settings, entries[400:450])
    second = workers.start(settings, "monitor")
    workers.until_caught_up(settings, "monitor", ["journal"])
    assert _loaded_from(tmp_path, 1) == 401
    workers.kill(second)
    _append(settings, entries[450:])
    workers.start(settings, "monitor")
    workers.until_caught_up(settings, "monitor", ["journal"])
    assert _loaded_from(tmp_path, 2) == 401
    _, state = oracle.check(settings)
    assert state.core.folded == len(entries) - 1


@pytest.mark.slow
def test_without_any_snapshot_the_journal_is_folded_again_and_nothing_is_published_twice(
    each_broker, workers, entries, oracle, tmp_path
):
    settings = msgspec.structs.replace(each_broker, posts_partitions=1, snapshot_every_s=3600.0)
    topics.create(settings)
    _begin(settings)
    _append(settings, entries)
    first = workers.start(settings, "monitor")
    workers.until_caught_up(settings, "monitor", ["journal"])
    oracle.check(settings)
    workers.kill(first)
    workers.start(settings, "monitor")
    workers.until(lambda: any("is loaded" in log.read_text() for log in tmp_path.glob("monitor-1.log")))
    workers.until_caught_up(settings, "monitor", ["journal"])
    assert _loaded_from(tmp_path, 1) == 0
    oracle.check(settings)


@pytest.mark.slow
def test_an_idle_monitor_takes_over_when_the_other_one_dies(each_broker, workers, entries, oracle, tmp_path):
    settings = msgspec.structs.replace(each_broker, posts_partitions=1, snapshot_every_s=1.0)
    topics.create(settings)
    _begin(settings)
    pair = [workers.start(settings, "monitor"), workers.start(settings, "monitor")]
    _append(settings, entries[:300])
    workers.until_caught_up(settings, "monitor", ["journal"])
    time.sleep(8.0)  # the rebalance for the second one may come after the first has begun
    owners = [
        number
        for number in (0, 1)
        if "snapshot of shard 0" in (tmp_path / f"monitor-{number}.log").read_text()
        or "is loaded" in (tmp_path / f"monitor-{number}.log").read_text()
    ]
    workers.kill(pair[owners[-1]])
    _append(settings, entries[300:])
    workers.until_caught_up(settings, "monitor", ["journal"])
    _, state = oracle.check(settings)
    assert state.core.folded == len(entries) - 1


@pytest.mark.slow
def test_time_passes_when_posts_do_not_and_the_journal_says_so(each_broker, workers, story, oracle):
    settings = msgspec.structs.replace(each_broker, posts_partitions=2)
    topics.create(settings)
    for stage in ("score", "monitor"):
        workers.start(settings, stage)
    publish.publish_posts(settings, story.file, speed=600.0, end=False)

    def ticks():
        return [entry.now_at_s for _, entry in oracle.journal(settings) if isinstance(entry, Tick)]

    workers.until(lambda: len(ticks()) >= 3)
    publish.publish_posts(settings, story.file, speed=600.0)  # the same posts again, and the end
    workers.until(lambda: sum(isinstance(entry, SourceEnd) for _, entry in oracle.journal(settings)) == 2)
    workers.until_caught_up(settings, "monitor", ["journal"])
    time.sleep(3.0)
    count = len(ticks())
    time.sleep(3.0)
    workers.until_caught_up(settings, "monitor", ["journal"])
    assert len(ticks()) == count  # after the end, time stands still
    entries, state = oracle.check(settings)
    assert ticks() == sorted(ticks())
    last_post_s = max(entry.created_at_s for entry in entries if isinstance(entry, ScoredPost))
    assert ticks()[2] > last_post_s
    assert ticks()[-1] > last_post_s + 300.0
    assert state.core.folded == story.posts
    assert state.left_out()["repeated_post"] == story.posts


@pytest.mark.broker
def test_the_first_monitor_writes_the_configuration_and_the_next_one_takes_it(broker, tmp_path):
    topics.create(broker)
    first = ensure_configuration(broker)
    assert first.embedding_space.startswith(SPACE)
    assert first.source_partitions == broker.posts_partitions
    file = tmp_path / "policy.toml"
    file.write_text("[virality]\nleast_posts = 99\n")
    assert ensure_configuration(msgspec.structs.replace(broker, configuration=file)) == first
    assert len(list(read_to_end(broker, [topic_name(broker, "configuration")]))) == 1
    found, origin = last_configuration(broker, first.embedding_space)
    assert (found, origin.offset) == (first, 0)


@pytest.mark.broker
def test_a_configuration_for_another_number_of_shards_is_refused_with_words(broker):
    topics.create(broker)
    ensure_configuration(broker)
    with pytest.raises(SettingsError, match="EMBERWATCH_SHARDS"):
        ensure_configuration(msgspec.structs.replace(broker, shards=3))
