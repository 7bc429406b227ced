import msgspec
import pytest

from detectors.codec import decode_record
from detectors.records import Deletion
from streams import audit, forget, topics
from streams.author_hash import hash_author
from streams.errors import EmberwatchError
from streams.kafka_clients import read_to_end
from streams.settings import Secret
from streams.topics import topic_name

pytestmark = pytest.mark.broker


@pytest.fixture
def ready(broker):
    topics.create(broker)
    return msgspec.structs.replace(broker, hash_salts_before=Secret("2999-01-01:before 2001-01-01:spent"))


def deletions(settings):
    return [
        decode_record(Deletion, record.value) for record in read_to_end(settings, [topic_name(settings, "deletions")])
    ]


def test_an_author_is_named_once_under_each_living_salt(ready, capsys):
    forget.run_author(ready, author="ada", platform="x", by="dpo")
    wanted = [hash_author("x", "ada", salt) for salt in (ready.hash_salt, Secret("before"))]
    assert [one.author_id for one in deletions(ready)] == wanted
    words = capsys.readouterr()
    assert "2 hash(es)" in words.out
    assert "2001-01-01 protects nothing any more: destroy it" in words.err
    assert not any(secret in words.out + words.err for secret in ("before", "spent", "ada"))


def test_an_author_as_in_the_records_and_a_post_are_named_as_given(ready):
    forget.run_author(ready, author="h-1", platform=None, by="dpo")
    forget.run_post(ready, post_id="p1", by="dpo")
    assert [(one.author_id, one.post_id) for one in deletions(ready)] == [("h-1", None), (None, "p1")]


def test_a_request_is_on_the_audit_log_without_the_author(ready):
    forget.run_author(ready, author="ada", platform="x", by="dpo")
    forget.run_post(ready, post_id="p1", by="dpo")
    entries = list(audit.read(ready))
    assert [(one.what, one.by, one.about) for one in entries] == [
        ("erasure", "dpo", "author"),
        ("erasure", "dpo", "author"),
        ("deletion", "dpo", "p1"),
    ]


def test_what_the_scorer_would_refuse_is_not_sent(ready):
    with pytest.raises(EmberwatchError, match="post_id"):
        forget.run_post(ready, post_id="x" * 300, by="dpo")
    assert not deletions(ready)
