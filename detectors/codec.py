"""Bytes of everything that is kept: entries and records as JSON, the state as chunks that rarely change.

A snapshot is a manifest and chunks named by the hash of their content, so that a later one shares what did not
change. Lists are cut where their items say so, not by position: what is dropped at the front leaves the rest as it
was.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from detectors.coordination import Coordination
from detectors.entries import ClaimEntry, ConfigurationEntry, Entry
from detectors.forecast import Forecaster
from detectors.forecast_weights import ForecastWeights
from detectors.narratives import MicroCluster, NarrativeState, Strand
from detectors.policy import Configuration
from detectors.post_index import IndexedPost, PostIndex
from detectors.state import Core, MonitorState
from detectors.strands import Strands

STATE_VERSION = 2
"""Rises with every change of the state's form; a snapshot of another version is not read, the journal is."""

CUT_ONE_IN = 512
"""Items a piece of a list holds on average."""

LARGEST_PIECE_ITEMS = 1024

LARGEST_CHUNK_BYTES = 400_000
"""A broker takes records of up to a megabyte by default."""

NESTED = "nested too deeply"

T = TypeVar("T")

_entry_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


class CorruptSnapshotError(Exception):
    """A snapshot cannot be read: a chunk is missing or damaged, or it is of another version."""


class OtherVersionError(CorruptSnapshotError):
    """A snapshot is whole, but of a state of another form."""


class Manifest(Struct, frozen=True, kw_only=True):
    """What a snapshot consists of."""

    state_version: int
    next_offset: int
    sections: dict[str, list[list[str]]]
    """Section -> its pieces, in order, each the names of the chunks that it is made of."""

    def chunk_names(self) -> list[str]:
        """Names of all chunks, each once."""
        return list(dict.fromkeys(name for pieces in self.sections.values() for piece in pieces for name in piece))


class Snapshot(Struct, frozen=True, kw_only=True):
    """A state as bytes."""

    manifest: bytes
    chunks: dict[str, bytes]


class _Forgotten(Struct):
    """The part of the index of posts that is not cut into chunks."""

    posts: dict[str, float]
    authors: dict[int, float]
    evicted: int


class _Grouping(Struct):
    """The part of the narratives that is not cut into chunks."""

    placed: int
    new_since_grouping: int
    grouped_at_s: float
    dropped_micros: int
    dimensions: int


def encode_entry(entry: Entry) -> bytes:
    """JSON of a journal entry."""
    return _json.encode(entry)


def decode_entry(value: bytes) -> Entry:
    """Read a journal entry. Raises `msgspec.ValidationError` or `msgspec.DecodeError`, naming the field.

    Of a configuration that other code wrote, parameters that this code does not know are ignored.
    """
    try:
        return _decode_entry(value)
    except RecursionError:
        raise msgspec.DecodeError(NESTED) from None


def _decode_entry(value: bytes) -> Entry:
    try:
        return _entry_decoder.decode(value)
    except msgspec.ValidationError:
        if b'"configuration"' not in value:
            raise
        raw = msgspec.json.decode(value)
        if not isinstance(raw, dict) or raw.get("entry") != "configuration":
            raise
        return _entry_decoder.decode(_json.encode(_known(raw, ConfigurationEntry) | {"entry": "configuration"}))


def decode_configuration(value: bytes) -> Configuration:
    """Read a configuration that was in force, perhaps of other code: unknown parameters are ignored.

    Raises as `decode_entry`.
    """
    try:
        return _decode_configuration(value)
    except RecursionError:
        raise msgspec.DecodeError(NESTED) from None


def _decode_configuration(value: bytes) -> Configuration:
    try:
        return msgspec.json.decode(value, type=Configuration)
    except msgspec.ValidationError:
        known = _known(msgspec.json.decode(value), Configuration)
        return msgspec.json.decode(_json.encode(known), type=Configuration)


def encode_record(record: Struct) -> bytes:
    """JSON of a record as it is published."""
    return _json.encode(record)


def decode_record(record_type: type[T], value: bytes) -> T:
    """Read a published record. Raises as `decode_entry`."""
    try:
        return msgspec.json.decode(value, type=record_type)
    except RecursionError:
        raise msgspec.DecodeError(NESTED) from None


def encode_state(state: MonitorState) -> Snapshot:
    """Bytes of a state, to be read by `decode_state`."""
    narratives, posts = state.narratives, state.posts
    centroids = narratives.centroids
    grouping = _Grouping(
        narratives.placed,
        narratives.new_since_grouping,
        narratives.grouped_at_s,
        narratives.dropped_micros,
        centroids.totals.shape[1] if centroids.count else 0,
    )
    strands = [
        (strand, total.tobytes(), counts)
        for strand, total, counts in zip(
            narratives.strands.values(), centroids.totals, centroids.counts.tolist(), strict=True
        )
    ]
    contents: dict[str, Iterable[list[Any]]] = {
        "core": [[state.core]],
        "grouping": [[grouping]],
        "forgotten": [[_Forgotten(posts.forgotten_posts, posts.forgotten_authors, posts.evicted)]],
        "strands": _cut(strands, lambda item: item[0].strand_id),
        "micros": _cut(narratives.micros.values(), lambda item: item.micro_id),
        "narratives": _cut(narratives.narratives.values(), lambda item: item.narrative_id),
        "posts": _cut(posts.posts.items(), lambda item: item[0]),
        "coordination": [[state.coordination]],
        "claims": _cut(state.claims.entries(), lambda item: item.claim_id),
        "forecast": [[state.forecaster.weights]],
    }
    chunks: dict[str, bytes] = {}
    sections: dict[str, list[list[str]]] = {}
    for section, pieces in contents.items():
        sections[section] = []
        for piece in pieces:
            parts = _parts(zlib.compress(_msgpack.encode(piece), level=1))
            chunks.update(parts)
            sections[section].append(list(parts))
    manifest = Manifest(state_version=STATE_VERSION, next_offset=state.next_offset, sections=sections)
    return Snapshot(manifest=_json.encode(manifest), chunks=chunks)


def read_manifest(value: bytes) -> Manifest:
    """Read what a snapshot consists of. Raises `CorruptSnapshotError`."""
    try:
        manifest = msgspec.json.decode(value, type=Manifest)
    except msgspec.MsgspecError as error:
        raise CorruptSnapshotError(f"manifest: {error}") from error
    if manifest.state_version != STATE_VERSION:
        raise OtherVersionError(f"state of version {manifest.state_version}, this code reads {STATE_VERSION}")
    return manifest


def decode_state(manifest: bytes, chunks: Mapping[str, bytes]) -> MonitorState:
    """Read a state. Raises `CorruptSnapshotError`, saying what is missing or damaged."""
    sections = _Sections(read_manifest(manifest), chunks)
    state = MonitorState(sections.only("core", Core))
    _restore_narratives(state, sections)
    forgotten = sections.only("forgotten", _Forgotten)
    state.posts = PostIndex(
        posts=dict(sections.items("posts", tuple[str, IndexedPost])),
        forgotten_posts=forgotten.posts,
        forgotten_authors=forgotten.authors,
        evicted=forgotten.evicted,
    )
    state.coordination = sections.only("coordination", Coordination)
    for entry in sections.items("claims", ClaimEntry):
        state.claims.put(entry)
    state.forecaster = Forecaster(sections.only("forecast", ForecastWeights | None))
    return state


def _restore_narratives(state: MonitorState, sections: "_Sections") -> None:
    grouping = sections.only("grouping", _Grouping)
    rows = list(sections.items("strands", tuple[Strand, bytes, list[int]]))
    totals = np.frombuffer(b"".join(total for _, total, _ in rows), np.int32).reshape(-1, max(1, grouping.dimensions))
    narratives = state.narratives
    narratives.centroids = Strands.restore(totals, np.array([counts for *_, counts in rows], np.int64))
    narratives.restore(
        {strand.strand_id: strand for strand, *_ in rows},
        {micro.micro_id: micro for micro in sections.items("micros", MicroCluster)},
        {one.narrative_id: one for one in sections.items("narratives", NarrativeState)},
        state.configuration.narratives,
    )
    narratives.placed = grouping.placed
    narratives.new_since_grouping = grouping.new_since_grouping
    narratives.grouped_at_s = grouping.grouped_at_s
    narratives.dropped_micros = grouping.dropped_micros


class _Sections:
    """Chunks of a manifest, checked as they are read."""

    def __init__(self, manifest: Manifest, chunks: Mapping[str, bytes]) -> None:
        self._manifest = manifest
        self._chunks = chunks

    def only(self, section: str, item_type: Any) -> Any:
        """Return the one item of a section."""
        items = list(self.items(section, item_type))
        if len(items) != 1:
            raise CorruptSnapshotError(f"section {section}: {len(items)} items where one belongs")
        return items[0]

    def items(self, section: str, item_type: Any) -> Iterator[Any]:
        """Yield the items of a section, in order."""
        for names in self._manifest.sections.get(section, ()):
            content = b"".join(self._chunk(section, name) for name in names)
            try:
                yield from msgspec.msgpack.decode(zlib.decompress(content), type=list[item_type])
            except (msgspec.MsgspecError, zlib.error) as error:
                raise CorruptSnapshotError(f"section {section}: {error}") from error

    def _chunk(self, section: str, name: str) -> bytes:
        content = self._chunks.get(name)
        if content is None:
            raise CorruptSnapshotError(f"section {section}: chunk {name} is missing")
        if _name(content) != name:
            raise CorruptSnapshotError(f"section {section}: chunk {name} is damaged")
        return content


def _known(raw: Any, kind: type[Struct]) -> Any:
    """What this code knows of a decoded object, and of the objects in it."""
    if not isinstance(raw, dict):
        return raw
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    return {
        name: _known(content, kinds[name])
        if isinstance(kinds[name], type) and issubclass(kinds[name], Struct)
        else content
        for name, content in raw.items()
        if name in kinds
    }


def _cut(items: Iterable[T], key: Callable[[T], str]) -> Iterator[list[T]]:
    """Cut a list after the items whose key says so, so that pieces stay the same when others come or go."""
    piece: list[T] = []
    for item in items:
        piece.append(item)
        if zlib.crc32(key(item).encode()) % CUT_ONE_IN == 0 or len(piece) == LARGEST_PIECE_ITEMS:
            yield piece
            piece = []
    if piece:
        yield piece


def _parts(content: bytes) -> dict[str, bytes]:
    """Chunks of a piece, by name, in order."""
    cuts = range(0, len(content), LARGEST_CHUNK_BYTES)
    parts = [content[start : start + LARGEST_CHUNK_BYTES] for start in cuts]
    return {_name(part): part for part in parts}


def _name(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
