"""A deletion on a real cluster: what is on the compacted topics afterwards, byte by byte."""

import time
import zlib

import msgspec
import pytest

from streams import forget, publish
from streams.kafka_clients import read_to_end
from streams.snapshots import CHUNK_PREFIX
from streams.topics import topic_name

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SECRET, AUTHOR, POST_ID = b"zanzibar", b"ada-the-author", b"id-of-the-deleted-post"
SHORT = {"segment.ms": "1000", "max.compaction.lag.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}


def kept(settings, name):
    """Every byte of a topic's records as it lies there, packed chunks unpacked."""
    content = b""
    for record in read_to_end(settings, [topic_name(settings, name)]):
        value = record.value or b""
        if name == "snapshots" and (record.key or b"").startswith(CHUNK_PREFIX) and value:
            value = zlib.decompressobj().decompress(value)
        content += value + b"\n"
    return content


def rows():
    """A rumour whose first post, the most followed one, is to be deleted."""
    for number in range(60):
        first = number == 0
        yield {
            "post_id": POST_ID.decode() if first else f"p{number}",
            "platform": "x",
            "created_at": f"2026-01-01T00:00:{number:02d}Z",
            "author_id": AUTHOR.decode() if first else f"author-{number}",
            "text": "the water of the old reservoir is poisoned, do not drink"
            + (" " + SECRET.decode() if first else ""),
        }


def test_what_was_deleted_is_gone_from_snapshots_narratives_and_alerts_once_they_are_compacted(
    hasty, alter, workers, tmp_path
):
    settings = msgspec.structs.replace(hasty, posts_partitions=1, snapshot_every_s=1.0)
    for name in ("snapshots", "narratives", "alerts"):
        alter(settings, name, SHORT)
    workers.start(settings, "monitor")
    workers.start(settings, "score")
    file = tmp_path / "posts.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows()))
    publish.publish_posts(settings, file, speed=60.0, hash_authors=True, end=False)
    workers.until(lambda: SECRET in kept(settings, "snapshots"))
    workers.until(lambda: SECRET in kept(settings, "narratives"))
    workers.until(lambda: POST_ID in kept(settings, "alerts"))
    asked_s = time.monotonic()
    forget.run_author(settings, author=AUTHOR.decode(), platform="x", by="dpo")
    for name in ("snapshots", "narratives", "alerts"):
        hidden = (SECRET, POST_ID, AUTHOR)
        workers.until(lambda name=name, hidden=hidden: not any(word in kept(settings, name) for word in hidden))
    print(f"gone from snapshots, narratives and alerts {time.monotonic() - asked_s:.1f} s after it was asked for")
    assert AUTHOR not in kept(settings, "journal")  # it never came past the edge
