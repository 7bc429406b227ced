"""The fold over anything: rows of posts, or an exported journal; the same alerts as live, and what evaluation needs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec
from msgspec import Struct

from detectors.entries import ConfigurationEntry, Entry, Origin, ScoredPost, SourceEnd
from detectors.forecast_weights import ForecastWeights
from detectors.merging import Merging
from detectors.monitor import Answering, Output, fold, new_state
from detectors.policy import Configuration, TimeParameters
from detectors.posts import BadRecord, decode_post
from detectors.records import (
    MAX_RECORD_BYTES,
    Alert,
    Assignment,
    Claim,
    DeadLetter,
    MicroClusterEnd,
    Narrative,
    NarrativeChange,
    Post,
)
from detectors.scoring import Scorer
from detectors.state import MonitorState

SCORED_TOGETHER = 256
"""Posts that are scored in one go: enough for the encoder to work in full batches."""

VALUE_SHOWN = 2000
"""Characters of a record that a dead letter shows."""


class Row(Struct, frozen=True):
    """A line of a file: the file's number and name, the line's number, and its bytes."""

    file: int
    name: str
    line: int
    value: bytes


class Replay:
    """Folds the journal of one shard, and keeps what came out.

    Parameters
    ----------
    look : is called with each output as it comes, while the state is as it was then.
    answering : answers second looks that no journal answers.
    """

    def __init__(
        self,
        state: MonitorState | None = None,
        *,
        look: Callable[[Output], None] | None = None,
        answering: Answering | None = None,
    ) -> None:
        self.state = state or new_state()
        self._look = look
        self._answering = answering
        self.alert_history: list[Alert] = []
        self.narrative_history: list[NarrativeChange] = []
        self.narratives: dict[str, Narrative] = {}
        self._assignments: list[Assignment] = []
        self._ended: dict[str, MicroClusterEnd] = {}

    @property
    def alerts(self) -> dict[str, Alert]:
        """Last revision of each alert, by id."""
        return {alert.alert_id: alert for alert in self.alert_history}

    def run(self, items: Iterable[tuple[int, Entry]]) -> None:
        """Fold entries with their offsets. Raises `JournalGapError`."""
        for output in fold(self.state, items, answering=self._answering):
            if self._look is not None:
                self._look(output)
            match output:
                case Alert():
                    self.alert_history.append(output)
                case Narrative():
                    self.narratives[output.narrative_id] = output
                case NarrativeChange():
                    self.narrative_history.append(output)
                case Assignment():
                    self._assignments.append(output)
                case MicroClusterEnd():
                    self._ended[output.micro_cluster] = output

    def append(self, entries: Iterable[Entry]) -> None:
        """Fold entries that follow the last one."""
        self.run(enumerate(entries, start=self.state.next_offset))

    def assignments(self) -> Iterator[Assignment]:
        """Yield where each post was put when it came, and where that is now."""
        for assignment in self._assignments:
            narrative_id, event_id = self._place_now(assignment.micro_cluster)
            yield msgspec.structs.replace(assignment, narrative_at_end=narrative_id, event_at_end=event_id)

    def _place_now(self, micro_id: str | None) -> tuple[str | None, str | None]:
        if micro_id is None:
            return None, None
        narrative = self.state.narratives.narrative_of(micro_id)
        if narrative is not None:
            return narrative.narrative_id, narrative.event_id
        ended = self._ended[micro_id]
        return ended.narrative_id, ended.event_id


def opening_entries(
    configuration: Configuration, claims: Iterable[Claim], scorer: Scorer, forecast: ForecastWeights | None = None
) -> Iterator[Entry]:
    """Yield what a journal opens with: the configuration, then the claims known at the start."""
    yield ConfigurationEntry(origin=Origin("configuration", 0, 0), configuration=configuration, forecast=forecast)
    offset = 0
    remaining = iter(claims)
    while batch := list(islice(remaining, SCORED_TOGETHER)):
        scorer.score_texts(
            [text for claim in batch for text in (claim.claim_reviewed, claim.name or "")]
        )  # fills the cache
        for claim in batch:
            yield scorer.claim_entry(claim, claim.claim_id, Origin("claims", 0, offset))
            offset += 1


def score_rows(
    rows: Sequence[Row], scorer: Scorer, *, started_at_s: float, time: TimeParameters
) -> tuple[list[ScoredPost], list[DeadLetter]]:
    """Score rows of posts; a row that is no post becomes a dead letter.

    `started_at_s` is taken as the arrival of posts that carry none: it bounds how late they can be dated.
    """
    good: list[tuple[Post, Origin, float]] = []
    bad: list[DeadLetter] = []
    for row in rows:
        try:
            post = decode_post(row.value, received_at_s=started_at_s, time=time)
        except BadRecord as error:
            bad.append(dead_letter(row, error))
        else:
            good.append((post, Origin("posts", row.file, row.line), 0.0))
    return scorer.score(good), bad


class InEventOrder:
    """Posts of one file in the order in which a live run at maximum speed folds them: by event time, then by id."""

    def __init__(self) -> None:
        self._merging = Merging()

    def pass_on(self, entries: Iterable[ScoredPost]) -> list[ScoredPost]:
        """Take posts as they lie in the file; return those that nothing can come before any more."""
        ready = []
        for entry in entries:
            self._merging.arrive("file", entry, 1)
            ready.extend(self._merging.ready(1))
        return ready

    def rest(self) -> list[ScoredPost]:
        """Return what is left when the file is through."""
        return self._merging.all()


def source_end(file: int, line: int) -> Entry:
    """Say that a file is through."""
    return SourceEnd(origin=Origin("posts", file, line))


def dead_letter(row: Row, error: BadRecord) -> DeadLetter:
    """Describe a row that cannot be used."""
    return DeadLetter(
        topic=row.name,
        partition=0,
        offset=row.line,
        field=error.field,
        error=error.error,
        value=row.value[:MAX_RECORD_BYTES].decode(errors="replace")[:VALUE_SHOWN],
    )


def with_configuration(items: Iterable[tuple[int, Entry]], replacement: Configuration) -> Iterator[tuple[int, Entry]]:
    """Yield a journal under another policy and other parameters: a backtest.

    What describes the vectors in the journal stays as it was written: their space, the weights, the epoch.
    """
    for offset, entry in items:
        if isinstance(entry, ConfigurationEntry):
            written = entry.configuration
            changed = msgspec.structs.replace(
                replacement,
                look_model=written.look_model,
                embedding_space=written.embedding_space,
                weights_hash=written.weights_hash,
                code_version=written.code_version,
                source_partitions=written.source_partitions,
                shards=written.shards,
                epoch=written.epoch,
            )
            yield offset, msgspec.structs.replace(entry, configuration=changed)
        else:
            yield offset, entry
