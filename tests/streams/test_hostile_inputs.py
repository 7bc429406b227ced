"""Every decoder, against bytes that somebody made to break it: it reads them, or says in its own way that it cannot.

Inputs are valid records that were cut, flipped, spliced and stuffed with what parsers stumble over, from a seed that
is named when one fails. `make fuzz` runs 20,000 for each decoder; without it `FUZZ_INPUTS` tells how many.
"""

import gzip
import os
import random
import time
import zlib

import msgspec
import pytest

from detectors import codec
from detectors.codec import CorruptSnapshotError, decode_entry, decode_record, decode_state, encode_entry, encode_state
from detectors.embedding import HashEncoder
from detectors.entries import ConfigurationEntry, DeletionEntry, Origin, ScoredPost, SourceEnd, Tick
from detectors.monitor import fold, new_state
from detectors.policy import Configuration
from detectors.posts import (
    BadRecord,
    clean,
    decode_claim,
    decode_crisis,
    decode_deletion,
    decode_feedback,
    decode_post,
    decode_text_row,
    links_in,
    normalise,
)
from detectors.records import Alert, Deletion, Narrative, NarrativeChange, Post
from detectors.scoring import Scorer
from streams import audit, journal_file
from streams.author_hash import former_salts
from streams.console import follower
from streams.control_records import decode_configuration
from streams.dead_letters import letter_of
from streams.errors import EmberwatchError, SettingsError
from streams.heads import load_weights
from streams.json_lines import read_lines
from streams.settings import Secret, Settings, load_configuration, load_settings
from streams.snapshots import Envelope

INPUTS = int(os.environ.get("FUZZ_INPUTS", "1500"))
NOW_S = 1.78e9
LONGEST_S = 5.0
"""No single input may take so long, on a machine that is busy with other things."""

VALID = {
    "post": b'{"post_id":"p1","platform":"x","created_at":"2026-01-01T00:00:00Z","author_id":"a","text":"hello #x",'
    b'"kind":"reshare","parent_id":"p0","lang":"en","followers":7,"urls":["https://e.org"],"media":["m"],"place":"y"}',
    "claim": b'{"@type":"ClaimReview","@id":"c1","url":"https://e.org/c","claimReviewed":"the moon is cheese",'
    b'"author":{"name":"F","url":"https://e.org"},"reviewRating":{"alternateName":"False","ratingValue":"1",'
    b'"bestRating":5,"worstRating":1},"datePublished":"2026-01-01"}',
    "feedback": b'{"feedback_id":"f","by":"Ann","at":"2026-01-01T00:00:00Z","word":"snooze","alert_id":"a-1",'
    b'"until":"2026-01-02T00:00:00Z","note":"n"}',
    "crisis": b'{"crisis_id":"k","word":"declare","by":"Ann","why":"riot","at":"2026-01-01T00:00:00Z",'
    b'"scope":{"place":"x"},"threshold_ratio":0.5,"expires_at":"2026-01-02T00:00:00Z"}',
    "deletion": b'{"post_id":"p1","requested_by":"dpo","at":"2026-01-01T00:00:00Z"}',
    "text": b'{"id":"1","text":"words"}',
    "audit": b'{"what":"view","by":"Ann","about":"n-1","client":"::1","at":"2026-01-01T00:00:00Z"}',
    "envelope": b'{"sequence":3,"manifest":"e30=","digest":"00","chunks":["aa","bb"],"published":{"alerts/0":4}}',
    "toml": b'broker = "127.0.0.1:9092"\nshards = 2\n[virality]\nleast_posts = 4\n[[rules]]\nname = "a"\n'
    b'when = ["viral", "not contested"]\nseverity = "watch"\nkind = "viral"\n',
    "configuration": msgspec.json.encode(Configuration()),
    "journal line": b'{"shard":0,"offset":3,"entry":{"entry":"tick","now_at_s":1.0}}',
}

STUMBLES = (
    *(b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"\\u0000", b"\xe2\x80\xae", b"\r\n\r\n"),
    *(b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 400, b"-0", b"1.7976931348623159e308", b"0x10", b"2147483648"),
    *(b"[" * 3000, b'{"a":' * 3000, b'"' + b"A" * 70_000 + b'"', b"{}", b"[]", b"null", b"true", b'""'),
    *(b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00+14:00", b"2026-02-30T00:00:00Z", b"2026-01-01T00:00:60Z"),
    *(b"__proto__", b"!!python/object/apply:os.system ['true']", b"cos\nsystem\n(S'true'\ntR.", b"${jndi:ldap://x}"),
    *(b"'; DROP TABLE posts; --", b"<script>alert(1)</script>", b"{{7*7}}", b"../../../../etc/passwd", b"%n%s%x"),
)


def mutated(seed, valid):
    """One hostile input, from a valid one."""
    chance = random.Random(seed)
    value = bytearray(valid)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(value) + 1)
        end = min(len(value), at + chance.choice((1, 1, 4, 40)))
        match chance.randrange(6):
            case 0:
                value[at:end] = b""
            case 1:
                value[at:at] = chance.choice(STUMBLES)
            case 2:
                value[at:end] = chance.choice(STUMBLES)
            case 3:
                value[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
            case 4:
                value[at:at] = bytes(value[at:end]) * chance.choice((1, 3, 50))
            case _:
                del value[at:]
        if len(value) > 300_000:
            del value[300_000:]
    return bytes(value)


def reading_toml(read):
    def decode(value, folder):
        file = folder / "given.toml"
        file.write_bytes(value)
        return read(file)

    return decode


def last_entry(value, _):
    entry = follower._last_entry(value)
    if entry is not None:
        follower._event_time_s(entry)


def lines_of(value, folder):
    file = folder / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(value, 1) if value[:1] == b"{" else value)
    return [line.value for line in read_lines(file)]


def journal_of(value, folder):
    file = folder / "journal.jsonl"
    file.write_bytes(value)
    return list(journal_file.read_journal(file))


DECODERS = {
    "post": (lambda value, _: decode_post(value, received_at_s=NOW_S), "post", (BadRecord,)),
    "claim": (lambda value, _: decode_claim(value), "claim", (BadRecord,)),
    "feedback": (lambda value, _: decode_feedback(value, received_at_s=NOW_S), "feedback", (BadRecord,)),
    "crisis": (lambda value, _: decode_crisis(value, received_at_s=NOW_S), "crisis", (BadRecord,)),
    "deletion": (lambda value, _: decode_deletion(value, received_at_s=NOW_S), "deletion", (BadRecord,)),
    "row of text": (lambda value, _: decode_text_row(value), "text", (BadRecord,)),
    "configuration": (lambda value, _: decode_configuration(value), "configuration", (BadRecord,)),
    "configuration of other code": (
        lambda value, _: codec.decode_configuration(value),
        "configuration",
        (msgspec.MsgspecError, UnicodeDecodeError),
    ),
    "dead letter": (lambda value, _: letter_of([("emberwatch-field", value), (repr(value), value)], value), "post", ()),
    "audit entry": (
        lambda value, _: decode_record(audit.Entry, value),
        "audit",
        (msgspec.MsgspecError, UnicodeDecodeError),
    ),
    "envelope of a snapshot": (
        lambda value, _: decode_record(Envelope, value),
        "envelope",
        (msgspec.MsgspecError, UnicodeDecodeError),
    ),
    "end of the journal": (last_entry, "journal line", ()),
    "salts": (
        lambda value, _: former_salts(Settings(hash_salts_before=Secret(value.decode("utf-8", "replace")))),
        "text",
        (SettingsError,),
    ),
    "file of settings": (
        reading_toml(lambda file: load_settings({"EMBERWATCH_SETTINGS": str(file)})),
        "toml",
        (SettingsError,),
    ),
    "policy": (reading_toml(load_configuration), "toml", (SettingsError,)),
    "file of rows": (lines_of, "post", (EmberwatchError,)),
    "file of a journal": (journal_of, "journal line", (EmberwatchError,)),
}


def attack(decode, valid, refusals, folder, inputs):
    """Run a decoder over hostile inputs; how many it refused."""
    refused = 0
    for seed in range(inputs):
        value = mutated(seed, valid)
        started_s = time.monotonic()
        try:
            decode(value, folder)
        except refusals:
            refused += 1
        except BaseException as error:  # noqa: BLE001  what it is, and of which input, is the finding
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}\n{value[:500]!r}")
        assert time.monotonic() - started_s < LONGEST_S, f"seed {seed} takes too long"
    return refused


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_reads_hostile_bytes_or_refuses_them_in_its_own_way(name, tmp_path):
    decode, valid, refusals = DECODERS[name]
    inputs = INPUTS // 5 if "file" in name or name == "policy" else INPUTS
    refused = attack(decode, VALID[valid], refusals, tmp_path, inputs)
    assert refused > inputs // 10 or not refusals or name == "file of rows"  # of which any line is one


@pytest.fixture(scope="module")
def entries():
    scorer = Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=1000)
    post = decode_post(VALID["post"])
    [scored] = scorer.score([(post, Origin("posts", 0, 0), 1.0)])
    deletion = Deletion(post_id="p", requested_by="d", at=post.created_at)
    return [
        ConfigurationEntry(origin=Origin("configuration", 0, 0), configuration=Configuration()),
        scored,
        Tick(now_at_s=post.created_at.timestamp() + 60),
        DeletionEntry(origin=Origin("deletions", 0, 0), deletion=deletion),
        SourceEnd(origin=Origin("posts", 0, 1)),
    ]


def test_an_entry_of_the_journal_is_read_or_refused(entries, tmp_path):
    for entry in entries:
        attack(
            lambda value, _: decode_entry(value),
            encode_entry(entry),
            (msgspec.MsgspecError, UnicodeDecodeError),
            tmp_path,
            INPUTS // 3,
        )


@pytest.mark.parametrize("record", [Alert, Narrative, NarrativeChange])
def test_a_published_record_is_read_or_refused(record, tmp_path):
    refusals = (msgspec.MsgspecError, UnicodeDecodeError)
    attack(lambda value, _: decode_record(record, value), VALID["feedback"], refusals, tmp_path, INPUTS // 3)


def test_a_snapshot_with_a_damaged_chunk_or_manifest_is_refused_and_never_read_as_another_state(entries):
    state = new_state()
    list(fold(state, enumerate(entries)))
    whole = encode_state(state)
    assert decode_state(whole.manifest, whole.chunks).next_offset == len(entries)
    for seed in range(INPUTS // 3):
        chance = random.Random(seed)
        chunks = dict(whole.chunks)
        name = chance.choice(sorted(chunks))
        damaged = mutated(seed, chunks[name])
        if damaged == chunks[name]:
            continue
        with pytest.raises(CorruptSnapshotError):
            decode_state(whole.manifest, chunks | {name: damaged})
        with pytest.raises(CorruptSnapshotError):
            decode_state(whole.manifest, {key: value for key, value in chunks.items() if key != name})


def test_a_packed_bomb_in_a_chunk_is_not_read_without_its_name(entries):
    state = new_state()
    list(fold(state, enumerate(entries)))
    whole = encode_state(state)
    bomb = zlib.compress(b"\x00" * 50_000_000)
    with pytest.raises(CorruptSnapshotError, match="damaged"):
        decode_state(whole.manifest, dict.fromkeys(whole.chunks, bomb))


def hostile_text(seed):
    chance = random.Random(seed)
    pool = [
        *(bytes(one).decode("utf-8", "ignore") for one in STUMBLES),
        *("a" * 16_000, "@" * 9000, "4$" * 5000, "http://" * 2000, "RT @" * 3000, "\u0300" * 8000, "\u200d" * 8000),
        *(
            "ﷺ" * 800,
            "é" * 3000,
            "𝕳𝖊𝖑𝖑𝖔 ",
            "кіll them аll ",
            "k1ll th3m 4ll tonight at 8 ",
            "🙂" * 2000,
            "\u202e\u2066",
        ),
        *(chr(chance.randrange(0x20, 0x2FFF)) for _ in range(20)),
    ]
    return "".join(chance.choice(pool) for _ in range(chance.randrange(1, 6)))[:16_000]


def test_no_text_stops_what_reads_it_and_none_takes_long():
    for seed in range(INPUTS // 5):
        text = hostile_text(seed)
        started_s = time.monotonic()
        normalise(clean(text))
        links_in(text)
        assert time.monotonic() - started_s < LONGEST_S, seed


def test_posts_of_hostile_texts_are_scored_folded_and_kept():
    scorer = Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=1000)
    at, state, items = decode_post(VALID["post"]).created_at, new_state(), []
    for seed in range(INPUTS // 10):
        chance = random.Random(seed)
        post = Post(
            post_id=f"p{seed}",
            platform=hostile_text(seed)[:64] or "x",
            created_at=at,
            author_id=f"a{chance.randrange(30)}",
            text=hostile_text(seed + 1),
            kind=chance.choice(("post", "reply", "reshare", "quote")),
            parent_id=f"p{chance.randrange(seed + 2)}",
            lang=hostile_text(seed)[:35],
            community=hostile_text(seed)[:256],
        )
        try:
            post = decode_post(msgspec.json.encode(post))
        except BadRecord:
            continue
        items.append((post, Origin("posts", 0, seed), 1.0))
    scored = scorer.score(items)
    outputs = list(fold(state, enumerate(scored)))
    assert outputs
    assert isinstance(scored[0], ScoredPost)
    encoded = encode_state(state)
    assert decode_state(encoded.manifest, encoded.chunks).next_offset == len(scored) > INPUTS // 20
