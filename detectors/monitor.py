"""The fold: entries of one shard's journal in, alerts and narratives out.

`fold` is all there is to the monitor. It changes the state it is given and yields what is to be published; live
work, recovery, replay and backtests differ only in where the entries come from. It depends on nothing but the
entries and their order: not on the clock, nor on where one batch ends and the next begins.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from detectors.assessment import Assessor, first_look
from detectors.crises import without_expired
from detectors.entries import (
    ClaimEntry,
    ConfigurationEntry,
    CrisisEntry,
    DeletionEntry,
    Entry,
    FeedbackEntry,
    LookAnswer,
    OpenAlert,
    Origin,
    ScoredPost,
    Seed,
    Skip,
    SourceEnd,
    Tick,
    Vector,
)
from detectors.forecast import Forecaster
from detectors.inherited import inherit
from detectors.merging import MERGED
from detectors.narratives import NarrativeState
from detectors.origins import SeenOffsets, partition_name
from detectors.post_index import IndexedPost
from detectors.records import (
    Alert,
    Assignment,
    Deletion,
    Look,
    MicroClusterEnd,
    Narrative,
    NarrativeChange,
    PostKind,
)
from detectors.state import MonitorState
from detectors.strands import Search
from detectors.vectors import whole
from detectors.virality import Mark, author_key, mark_of

Output = Alert | Narrative | NarrativeChange | Look | Assignment | MicroClusterEnd
"""The last two are for evaluation; they are not published."""

Answering = Callable[[Sequence[Look]], list[LookAnswer]]
"""Answers second looks on the spot: a checker, with what the journal will answer itself left out."""

BATCH = 128
"""Posts whose nearest centroids are looked up in one product; only speed depends on it."""

FOLLOWERS: tuple[PostKind, ...] = ("reply", "reshare")
"""Kinds that belong where the post they follow is."""


class JournalGapError(Exception):
    """Entries are missing between the state and the journal: the state is stale."""


def new_state() -> MonitorState:
    """State before the first entry."""
    return MonitorState()


def fold(
    state: MonitorState, items: Iterable[tuple[int, Entry]], *, answering: Answering | None = None
) -> Iterator[Output]:
    """Fold entries, with their offsets, into the state; yields what is to be published, in order.

    `answering` answers second looks at once, where no journal holds the answers: after the entry that asked, as if
    the answer were the next one.

    Entries below `state.next_offset` were folded before and are skipped. Raises `JournalGapError` where offsets are
    missing.
    """
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield from _Batch(state, batch, answering).outputs()


class _Batch:
    """Some entries in order, with the search for the nearest centroids that they share."""

    def __init__(
        self, state: MonitorState, items: Sequence[tuple[int, Entry]], answering: Answering | None = None
    ) -> None:
        self._state = state
        self._answering = answering
        self._core = state.core
        self._items = items
        self._searched: dict[Origin, int] = {}
        self._search: Search | None = None
        self._released: deque[ScoredPost] = deque()
        self._is_releasing = False

    def outputs(self) -> Iterator[Output]:
        for index, (offset, entry) in enumerate(self._items):
            if offset < self._core.next_offset:
                continue
            if offset > self._core.next_offset:
                raise JournalGapError(f"journal goes on at {offset}, the state at {self._core.next_offset}")
            if self._search is None:
                self._prepare([later for _, later in self._items[index:]])
            yield from self._step(entry) if self._answering is None else self._answered_step(entry)
            self._core.next_offset = offset + 1

    def _answered_step(self, entry: Entry) -> Iterator[Output]:
        """Fold an entry, then the answers to what it asked, and to what these asked."""
        assert self._answering is not None
        outputs = list(self._step(entry))
        while outputs:
            yield from outputs
            asked = [output for output in outputs if isinstance(output, Look)]
            answered = self._answering(asked) if asked else []
            outputs = [output for answer in answered for output in self._look_again(answer)]

    def _prepare(self, entries: Sequence[Entry]) -> None:
        """Look up, in one product, every post of the batch that may have to be placed by its text."""
        posts = {
            entry.origin: entry.vector
            for entry in entries
            if isinstance(entry, ScoredPost)
            and entry.vector is not None
            and not self._is_merged(entry)
            and self._is_placed_by_text(entry)
        }
        self._searched = {origin: place for place, origin in enumerate(posts)}
        self._search = self._search_of(list(posts.values()))

    def _search_of(self, vectors: Sequence[Vector]) -> Search:
        weight = self._core.configuration.narratives.lexical_weight
        return Search(self._state.narratives.centroids, whole(vectors, weight))

    def _is_placed_by_text(self, post: ScoredPost) -> bool:
        """Whether its text decides; a reshare follows its parent where that is known."""
        if post.vector is None or post.kind == "reply" or not self._is_of_our_space(post.vector):
            return False
        return post.kind != "reshare" or self._parent(post) is None

    def _is_of_our_space(self, vector: Vector) -> bool:
        ours = self._core.configuration.embedding_space
        return not ours or vector.space == ours

    def _parent(self, post: ScoredPost) -> IndexedPost | None:
        return self._state.posts.get(post.parent_id) or self._state.posts.get(post.root_id)

    def _step(self, entry: Entry) -> Iterator[Output]:
        if isinstance(entry, ScoredPost):
            if self._is_new(entry.origin):
                yield from self._arrive(entry)
            return
        if not isinstance(entry, Tick | Seed | Skip) and not self._is_new(entry.origin):
            return
        match entry:
            case SourceEnd():
                yield from self._end(partition_name(entry.origin))
            case Tick():
                yield from self._posts_in_order(self._core.merging.all())
                self._core.time.tick(entry.now_at_s)
                yield from self._move_time()
            case FeedbackEntry():
                yield from Assessor(self._state).feedback(entry.feedback)
            case DeletionEntry():
                yield from self._delete(entry.deletion)
            case CrisisEntry():
                self._core.crises[entry.crisis.crisis_id] = entry.crisis
                yield from Assessor(self._state).declared()
            case LookAnswer():
                yield from self._look_again(entry)
            case _:
                self._take_note(entry)

    def _look_again(self, answer: LookAnswer) -> Iterator[Output]:
        """Take the first answer to a look; one that nobody asked for here (a backtest) counts for its post too."""
        looks = self._core.looks
        indexed = self._state.posts.get(answer.post_id)
        if answer.post_id not in looks.by_post and indexed is not None and indexed.micro_id is not None:
            cap = self._core.configuration.looks.remembered
            looks.put(answer.post_id, first_look(indexed, self._core.time.greatest_at_s), cap)
        if not looks.answer(answer, self._core.configuration.incitement.post_probability):
            self._state.leave_out("look_not_needed")
            return
        narrative = self._state.narratives.narrative_of(looks.by_post[answer.post_id].micro_id)
        if narrative is not None:
            yield from Assessor(self._state).answered(narrative)

    def _take_note(self, entry: ClaimEntry | ConfigurationEntry | OpenAlert | Seed | Skip) -> None:
        """Change what is known; nothing is published for it by itself."""
        match entry:
            case ClaimEntry():
                self._state.claims.put(entry)
                self._core.claims_version += 1
            case ConfigurationEntry():
                self._core.configuration = entry.configuration
                self._state.forecaster = Forecaster(entry.forecast)
                self._state.narratives.weigh_again(entry.configuration.narratives)
                self._search = None
            case OpenAlert():
                self._core.inherited[entry.alert.alert_id] = inherit(entry, self._core.time.greatest_at_s)
            case Seed():
                pass  # folded by whoever began with it
            case Skip():
                # In the place of what is left out it counts; where it was announced it says nothing more.
                if entry.offset == self._core.next_offset:
                    self._state.leave_out("skipped_entry")

    def _is_new(self, origin: Origin) -> bool:
        partition = partition_name(origin)
        seen = self._core.seen.get(partition)
        if seen is None:
            seen = self._core.seen[partition] = SeenOffsets()
        new = seen.is_new(origin.offset)
        if not new:
            self._state.leave_out("repeated_record")
        return new

    def _arrive(self, post: ScoredPost) -> Iterator[Output]:
        """Fold a post as it comes, or, of history at maximum speed, when its time has come on every partition."""
        self._core.time.speed = post.speed
        if post.scored_at_s:
            self._core.delay_s = round(max(0.0, post.scored_at_s - post.ingested_at_s), 3)
        if not self._is_merged(post):
            yield from self._post(post, partition_name(post.origin))
            yield from self._move_time()
            return
        merging, partitions = self._core.merging, self._core.configuration.source_partitions
        merging.arrive(partition_name(post.origin), post, partitions)
        yield from self._posts_in_order(merging.ready(partitions))

    def _is_merged(self, post: ScoredPost) -> bool:
        return post.speed == 0.0 and self._core.configuration.source_partitions > 1

    def _posts_in_order(self, posts: Sequence[ScoredPost]) -> Iterator[Output]:
        for post in posts:
            yield from self._post(post, MERGED)
            yield from self._move_time()

    def _end(self, partition: str) -> Iterator[Output]:
        merging, partitions = self._core.merging, self._core.configuration.source_partitions
        merging.end(partition)
        yield from self._posts_in_order(merging.ready(partitions))
        self._core.time.end(partition)
        if merging.has_ended(partitions):
            self._core.time.end(MERGED)
        yield from self._move_time()
        if self._core.time.has_ended():
            yield from self._nothing_more()

    def _nothing_more(self) -> Iterator[Output]:
        """Wait for no one's parent any more, group what is new, and publish what was not yet news."""
        for orphan in self._core.waiting.overdue(float("inf")):
            yield from self._place_overdue(orphan)
        if self._state.narratives.new_since_grouping:
            yield from self._group(nothing_more=True)
        yield from Assessor(self._state).ended()

    def _source_partitions(self) -> int:
        """Partitions that the watermark waits for; merged ones are one."""
        return 1 if self._core.merging.reached else self._core.configuration.source_partitions

    def _post(self, post: ScoredPost, partition: str) -> Iterator[Output]:
        key = author_key(post.author_id)
        self._core.time.observe(partition, post.created_at_s, key, self._core.configuration.time)
        self._core.time.advance(self._source_partitions(), self._core.configuration.time)
        if post.created_at_s > self._core.time.greatest_at_s:
            # A date too far ahead to be trusted: the post counts as written now, or it would hide all that is real.
            post = msgspec.structs.replace(post, created_at_s=self._core.time.greatest_at_s)
        if post.post_id in self._state.posts.posts or post.post_id in self._core.waiting.posts:
            self._state.leave_out("repeated_post")
        elif self._state.posts.is_forgotten(post.post_id) or key in self._state.posts.forgotten_authors:
            self._state.leave_out("deleted_before_it_came")
        elif self._repeats_forgotten(post):
            self._state.leave_out("reshare_of_deleted")
        else:
            yield from self._place(post)

    def _repeats_forgotten(self, post: ScoredPost) -> bool:
        """Whether it carries the words of a deleted post."""
        forgotten = self._state.posts.is_forgotten
        return post.kind == "reshare" and (forgotten(post.parent_id) or forgotten(post.root_id))

    def _place(self, post: ScoredPost) -> Iterator[Output]:
        """Put a new post where it belongs, or let it wait for the post that it follows."""
        parent = self._parent(post) if post.kind in FOLLOWERS else None
        if parent is not None:
            yield from self._follow(post, parent)
        elif self._is_placed_by_text(post):
            yield from self._count(post, self._join(post), None)
        elif post.kind in FOLLOWERS and (post.parent_id or post.root_id):
            for orphan in self._core.waiting.put(post):
                yield from self._count_orphan(orphan)
        else:
            yield from self._count_orphan(post)

    def _join(self, post: ScoredPost) -> str:
        assert post.vector is not None
        assert self._search is not None
        parameters = self._core.configuration.narratives
        place = self._searched.get(post.origin)
        if place is not None:
            return self._state.narratives.join(post, post.vector, self._search, place, parameters)
        # It was held back, or its parent was known when the batch was looked up and is gone: a search of its own.
        micro_id = self._state.narratives.join(post, post.vector, self._search_of([post.vector]), 0, parameters)
        self._search.restart()
        return micro_id

    def _follow(self, post: ScoredPost, parent: IndexedPost) -> Iterator[Output]:
        if parent.micro_id is None or parent.micro_id not in self._state.narratives.micros:
            yield from self._count_orphan(post)
            return
        if post.kind == "reshare":
            parent.reshares += 1
            root_id = post.parent_id or post.root_id or post.post_id
            self._state.narratives.shared(parent.micro_id, post, root_id, post.text, parent.reshares)
        yield from self._count(post, parent.micro_id, parent.mark)

    def _mark(self, post: ScoredPost, parent: Mark | None, cascade_posts: int) -> Mark:
        late = post.created_at_s < self._core.time.watermark_at_s
        probability = self._core.configuration.incitement.post_probability
        return mark_of(
            post,
            late=late,
            post_probability=probability,
            sources=self._core.configuration.sources,
            parent=parent,
            cascade_posts=cascade_posts,
        )

    def _count(self, post: ScoredPost, micro_id: str, parent: Mark | None) -> Iterator[Output]:
        virality = self._core.configuration.virality
        cascade_posts = self._state.narratives.cascade_posts(micro_id, post, virality)
        mark = self._mark(post, parent, cascade_posts)
        in_ten = self._state.narratives.count(micro_id, post, mark)
        narrative = self._state.narratives.narrative_of(micro_id)
        assert narrative is not None
        self._note_names(micro_id, narrative, mark)
        self._note_shares(post, mark)
        self._core.population.add(mark.at_s, mark.at_s - narrative.tally.first_at_s, in_ten)
        self._remember(post, micro_id, mark)
        yield self._assignment(post, micro_id, narrative)
        if not mark.late:  # what comes late counts in totals, and starts nothing
            yield from Assessor(self._state).posted(narrative)
        yield from self._release(post.post_id)
        if self._state.narratives.is_due(self._core.time.greatest_at_s, self._core.configuration.narratives):
            yield from self._group()

    def _note_names(self, micro_id: str, narrative: NarrativeState, mark: Mark) -> None:
        """Count whom a post accuses, and since when the stream has known the name."""
        if not mark.namings:
            return
        if evicted := self._state.narratives.name(micro_id, mark):
            self._state.leave_out("named_person_cap", evicted)
        for naming in mark.namings:
            self._core.names_heard.hear(naming.name, narrative.narrative_id, mark.at_s)

    def _note_shares(self, post: ScoredPost, mark: Mark) -> None:
        """Note what a post on time shares, for who acts alike."""
        configuration = self._core.configuration
        if not mark.late:
            horizon_s = configuration.narratives.post_horizon_s
            self._state.coordination.posted(post, mark.author_key, configuration.coordination, horizon_s)

    def _count_orphan(self, post: ScoredPost) -> Iterator[Output]:
        """Count a post that belongs to no narrative: an answer to what we never saw, or a text of another space."""
        self._state.leave_out("orphan")
        self._remember(post, None, self._mark(post, None, 0))
        yield self._assignment(post, None, None)
        yield from self._release(post.post_id)

    def _remember(self, post: ScoredPost, micro_id: str | None, mark: Mark) -> None:
        self._core.folded += 1
        self._core.late += mark.late
        cap = self._core.configuration.narratives.indexed_posts
        self._state.posts.put(post.post_id, IndexedPost(micro_id, mark), cap)

    def _release(self, post_id: str) -> Iterator[Output]:
        """Place what waited for a post, and then what waited for that: a queue, as conversations can be very long."""
        self._released.extend(self._core.waiting.arrived(post_id))
        if self._is_releasing:
            return
        self._is_releasing = True
        while self._released:
            yield from self._place(self._released.popleft())
        self._is_releasing = False

    @staticmethod
    def _assignment(post: ScoredPost, micro_id: str | None, narrative: NarrativeState | None) -> Assignment:
        return Assignment(
            post_id=post.post_id,
            micro_cluster=micro_id,
            narrative_then=narrative.narrative_id if narrative else None,
            narrative_at_end=None,
            event_then=narrative.event_id if narrative else None,
            event_at_end=None,
        )

    def _group(self, *, nothing_more: bool = False) -> Iterator[Output]:
        parameters = self._core.configuration.narratives
        now_s = self._core.time.greatest_at_s
        changes = self._state.narratives.group(now_s, parameters, nothing_more=nothing_more)
        yield from self._state.narratives.ended()
        yield from Assessor(self._state).grouped(changes)

    def _delete(self, deletion: Deletion) -> Iterator[Output]:
        """Forget a post, or everything of an author; what comes later is forgotten on arrival.

        Reshares of it that still wait go too, as they carry its words; those that were counted stay counted.
        """
        at_s = self._core.time.greatest_at_s
        gone: list[str] = []
        key: int | None = None
        if deletion.post_id is not None:
            gone.append(deletion.post_id)
        if deletion.author_id is not None:
            key = author_key(deletion.author_id)
            self._state.posts.forgotten_authors[key] = at_s
            gone += self._state.posts.of_author(key) + self._core.waiting.of_author(deletion.author_id)
            self._state.narratives.forget_author(key)
            self._state.coordination.forget(key)
        held = self._core.merging.take(deletion.post_id, deletion.author_id)
        if held:
            self._state.leave_out("deleted", len(held))
        for post_id in gone:
            self._state.posts.forget(post_id, at_s)
            for reshare in self._core.waiting.reshares_of(post_id):
                self._core.waiting.take(reshare)
                self._state.leave_out("reshare_of_deleted")
            self._forget(post_id)
        yield from Assessor(self._state).hidden(self._state.narratives.hide(set(gone), key))
        yield from Assessor(self._state).hidden_of_inherited(gone)

    def _forget(self, post_id: str) -> None:
        self._core.looks.take(post_id)
        waited = self._core.waiting.take(post_id)
        indexed = self._state.posts.take(post_id)
        if waited is not None or indexed is not None:
            self._state.leave_out("deleted")
        if indexed is not None and indexed.micro_id is not None:
            self._state.narratives.uncount(indexed.micro_id, indexed.mark)

    def _move_time(self) -> Iterator[Output]:
        """Advance the watermark, and do what is due by it."""
        parameters = self._core.configuration.time
        watermark_at_s = self._core.time.advance(self._source_partitions(), parameters)
        if self._core.looks.due:
            yield from Assessor(self._state).overdue()
        if watermark_at_s < self._core.housekept_at_s + parameters.housekeeping_s:
            return
        self._core.housekept_at_s = watermark_at_s
        for orphan in self._core.waiting.overdue(watermark_at_s):
            yield from self._place_overdue(orphan)
        self._state.posts.expire(watermark_at_s - self._core.configuration.narratives.post_horizon_s)
        self._core.looks.expire(watermark_at_s - self._core.configuration.narratives.post_horizon_s)
        self._core.names_heard.expire(watermark_at_s)
        self._core.crises = without_expired(self._core.crises, watermark_at_s)
        horizon_s = self._core.configuration.narratives.post_horizon_s
        self._state.coordination.expire(watermark_at_s, self._core.configuration.coordination, horizon_s)
        if self._state.narratives.is_due(self._core.time.greatest_at_s, self._core.configuration.narratives):
            yield from self._group()
        yield from Assessor(self._state).time_passed(watermark_at_s)

    def _place_overdue(self, post: ScoredPost) -> Iterator[Output]:
        parent = self._parent(post)
        yield from self._follow(post, parent) if parent else self._count_orphan(post)
