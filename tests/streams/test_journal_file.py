import msgspec
import pytest

from detectors.codec import encode_entry
from detectors.entries import Tick
from streams import journal_file, kafka_clients, topics
from streams.errors import EmberwatchError


def fill(settings, shard, numbers):
    """Append ticks to one shard; gives them."""
    ticks = [Tick(now_at_s=float(number)) for number in numbers]
    producer = kafka_clients.producer(settings)
    for tick in ticks:
        producer.send(topics.topic_name(settings, "journal"), value=encode_entry(tick), partition=shard)
    producer.flush()
    producer.close()
    return ticks


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.jsonl.gz"])
def test_what_is_exported_is_read_back_by_shard_and_offset(each_broker, tmp_path, name):
    settings = msgspec.structs.replace(each_broker, shards=2)
    topics.create(settings)
    second = fill(settings, 1, range(100, 130))
    first = fill(settings, 0, range(50))
    journal_file.export(settings, out=tmp_path / name)
    expected = [(0, offset, entry) for offset, entry in enumerate(first)]
    expected += [(1, offset, entry) for offset, entry in enumerate(second)]
    assert list(journal_file.read_journal(tmp_path / name)) == expected


@pytest.mark.broker
def test_an_export_ends_where_the_journal_was_when_it_began(broker, tmp_path, monkeypatch):
    topics.create(broker)
    fill(broker, 0, range(10))
    readers = kafka_clients.read_to_end(broker, [topics.topic_name(broker, "journal")])
    first = next(readers)
    fill(broker, 0, range(10))
    assert first.offset == 0
    assert [record.offset for record in readers] == list(range(1, 10))


@pytest.mark.parametrize("line", ["{}", '{"shard":0,"offset":0,"entry":{"entry":"nothing"}}', "[1", '{"post_id":"1"}'])
def test_a_line_that_is_no_entry_is_named(tmp_path, line):
    file = tmp_path / "journal.jsonl"
    good = b'{"shard":0,"offset":0,"entry":' + encode_entry(Tick(now_at_s=1.0)) + b"}"
    file.write_bytes(good + b"\n" + line.encode())
    with pytest.raises(EmberwatchError, match=f"{file}:2: not a line of a journal"):
        list(journal_file.read_journal(file))
