"""Posts into micro-clusters and strands, micro-clusters into narratives, strands into events, with names that last.

A post joins the nearest *strand* (posts in loosely similar wording), and within it the *micro-cluster* whose founding
wording is nearly its own; or it founds them. Strands are grouped into *events*, and the micro-clusters of an event into
*narratives*. What is new stands alone for its first minutes, so that it is judged by itself and does not hide in what
is known. Grouping keeps names: a group carries on the narrative, or event, that most of its posts came from. Ids derive
from the founding post and are never given twice.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable
from itertools import count
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from detectors.cascades import Cascades, cascade_of, is_linked
from detectors.entries import ScoredPost, Vector
from detectors.grouping import event_groups, inherit, narrative_groups
from detectors.named_persons import Names, Withheld, merged, person_key, withheld_in
from detectors.policy import NamedPersonParameters, NarrativeParameters, ViralityParameters
from detectors.records import MatchedClaim, MicroClusterEnd
from detectors.strands import FIRST_ROWS, Search, Strands
from detectors.vectors import COSINE, Floats, whole, whole_dense
from detectors.virality import Mark, Tally, author_key, merged_tally

WORDINGS_COMPARED = 512
"""Most recent wordings of a strand that a post is compared with; bounds the cost of a post in a hot one."""

PLACED_AGAIN_AT = (2, 4, 8)
"""Posts of a strand at which it is asked again which event it is about: one post says less than two."""

REGROUPED_SHARE = 6
"""All are grouped again when one live micro-cluster in so many is new. One in ten gives no better groups (benchmarks,
task N), and half as many groupings again."""

SOON_REGROUPED_SHARE = 64
"""Where one in so many is new they are grouped again after the pause alone; where less is, that much later."""

Why = Literal["earliest", "most_shared", "most_central", "dissenting", "indicator"]
REASONS_SHOWN: tuple[Why, ...] = ("earliest", "most_shared", "most_central", "dissenting", "indicator")


WORDINGS_MICROS = 5
"""Largest micro-clusters whose wordings are matched with claims."""


class Shown(Struct, array_like=True):
    """A candidate exemplar; the one with the highest rank of each kind is shown."""

    rank: float
    post_id: str
    text: str
    platform: str
    at_s: float
    indicators: tuple[str, ...] = ()
    author_key: int = 0
    """Of who wrote it; 0 where that is not known."""
    source_ids: tuple[str, ...] = ()
    """Of a reshare, the posts whose words these may be."""

    def is_of(self, post_ids: Collection[str], author_key: int | None) -> bool:
        """Whether it shows one of these posts, or a post of this author."""
        own = self.post_id in post_ids or any(one in post_ids for one in self.source_ids)
        return own or (author_key is not None and self.author_key == author_key)


class MicroCluster(Struct):
    """Posts in nearly the wording of the founding post."""

    micro_id: str
    founder_id: str
    founded_at_s: float
    strand_id: str
    narrative_id: str
    place: int
    """Of the founding post in the stream; the order of creation."""
    vector: Vector
    """Of the founding post; what claims are matched with."""
    tally: Tally
    shown: dict[str, Shown] = {}
    settled: bool = False
    """Whether it was grouped with others (or alone, among others) since it was new."""
    cascades: Cascades = field(default_factory=Cascades)
    names: Names = field(default_factory=Names)
    """Persons that its posts accuse."""
    founded: int = 1
    """Narratives that were named after its founding post."""


class Strand(Struct):
    """Posts in loosely similar wording; where its centroid lies is in `Narratives.centroids`."""

    strand_id: str
    founder_id: str
    event_id: str
    row: int
    members: list[str]
    """Its micro-clusters, in order of creation."""
    founded: int = 1
    """Events that were named after its founding post."""


class NarrativeState(Struct):
    """Micro-clusters that tell one story."""

    narrative_id: str
    event_id: str
    members: list[str]
    tally: Tally
    """That of its micro-cluster itself, where it began with one alone."""
    matches: tuple[MatchedClaim, ...] = ()
    matched_at_posts: int = 0
    matched_at_claims: int = -1
    sent_posts: int = 0
    sent_at_s: float = 0.0
    """Event time at which it was last published."""
    assessed_at_posts: int = 0
    sent_revision: int = 0
    """Last revision of an alert that was forgotten past the cap: what opens again goes on from there."""


class Change(Struct, frozen=True):
    """What grouping did to a narrative: `other_id` is what it merged into, or what it split from."""

    change: Literal["birth", "merge", "split", "death"]
    narrative_id: str
    other_id: str | None
    posts: int
    gone: NarrativeState | None = None
    """The narrative as it was, where it is no more."""


class _Names(NamedTuple):
    """What a post founds is called."""

    generation: int
    micro_id: str
    strand_id: str
    narrative_id: str


FOUNDED: tuple[Literal["m", "s", "n"], ...] = ("m", "s", "n")


def told_by(micro: MicroCluster) -> tuple[str, ...]:
    """Text that tells what a micro-cluster says: of who said it first, or of a reshare whose source was never seen."""
    first = next((micro.shown[why] for why in ("earliest", "most_shared", "most_central") if why in micro.shown), None)
    return () if first is None else (first.text,)


def name_after(post_id: str, kind: Literal["m", "s", "n", "e"], generation: int = 0) -> str:
    """Id of a micro-cluster, strand, narrative or event that this post founded.

    >>> name_after("post-1", "n") == name_after("post-1", "n")
    True
    >>> name_after("post-1", "n") == name_after("post-1", "n", 1)
    False
    """
    digest = hashlib.blake2b(f"{kind}/{generation}/{post_id}".encode(), digest_size=8)
    return f"{kind}-{digest.hexdigest()}"


class Wordings:
    """Founding wordings of a strand's micro-clusters, as whole vectors side by side."""

    def __init__(self) -> None:
        self.micro_ids: list[str] = []
        self._wholes: Floats = np.zeros((0, 0), np.float32)

    def put(self, micro_id: str, whole_vector: Floats) -> None:
        """Add a wording, shape (d,)."""
        count = len(self.micro_ids)
        if count == len(self._wholes):
            grown = np.zeros((max(2, 2 * count), len(whole_vector)), np.float32)
            if count:
                grown[:count] = self._wholes
            self._wholes = grown
        self._wholes[count] = whole_vector
        self.micro_ids.append(micro_id)

    def nearest(self, whole_vector: Floats) -> tuple[str | None, float]:
        """The micro-cluster with the nearest wording, and the cosine; a tie goes to the older one.

        Only the last `WORDINGS_COMPARED` that are live are compared. The others are kept, since they move up when some
        of these die: what is compared follows from what is live, and from nothing that was before.
        """
        count = len(self.micro_ids)
        if not count:
            return None, -1.0
        first = max(0, count - WORDINGS_COMPARED)
        products = self._wholes[first:count] @ whole_vector
        index = int(products.argmax())
        return self.micro_ids[first + index], float(products[index]) * COSINE

    def remove(self, micro_id: str) -> None:
        """Forget a wording."""
        kept = [index for index, one in enumerate(self.micro_ids) if one != micro_id]
        self._wholes = self._wholes[kept]
        self.micro_ids = [self.micro_ids[index] for index in kept]


class EventRows:
    """Which event each strand is of, by row, so that a post is compared with all events at once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        """Of the events, by first strand."""
        self._of_row = np.zeros(FIRST_ROWS, np.intp)
        self._rows = 0

    def put(self, event_id: str) -> None:
        """Say which event the next row is of."""
        if self._rows == len(self._of_row):
            self._of_row = np.concatenate([self._of_row, np.zeros_like(self._of_row)])
        self._of_row[self._rows] = self._numbers.setdefault(event_id, len(self._numbers))
        self._rows += 1

    def nearest(self, similarities: NDArray[np.float64], sizes: NDArray[np.int64]) -> tuple[str, float]:
        """The event most similar to a post, and how similar: the mean of its nearest strand's and of all its posts'.

        `similarities` of the post with each strand, and the strands' posts, both of shape (rows,); a tie goes to the
        event with the older strand. A strand of no posts, and a similarity of -1, is left out.
        """
        of_row = self._of_row[: self._rows]
        count = len(self._numbers)
        largest = np.full(count, -1.0)
        np.maximum.at(largest, of_row, similarities)
        means = np.bincount(of_row, similarities * sizes, count) / np.maximum(np.bincount(of_row, sizes, count), 1.0)
        both = 0.5 * (largest + means)
        number = int(both.argmax())
        return list(self._numbers)[number], float(both[number])

    def strands_of(self, row: int) -> int:
        """How many strands the event of a row has."""
        return int(np.count_nonzero(self._of_row[: self._rows] == self._of_row[row]))


class Narratives:
    """Everything that is live, at its levels."""

    def __init__(self) -> None:
        self.centroids = Strands()
        self.strands: dict[str, Strand] = {}
        """In order of creation, which is the order of the rows of `centroids`."""
        self.micros: dict[str, MicroCluster] = {}
        """In order of creation."""
        self.narratives: dict[str, NarrativeState] = {}
        self.placed = 0
        """Posts that were placed by their text: the stream's own clock."""
        self.new_since_grouping = 0
        self.grouped_at_s = 0.0
        self.dropped_micros = 0
        self._strand_ids: list[str] = []
        """By row."""
        self._events: EventRows | None = None
        """Not stored: it follows from the strands; None until it is asked for again."""
        self._wordings: dict[str, Wordings] = {}
        """By strand; follows from the founders' vectors."""
        self._by_words: dict[bytes, str] = {}
        """Micro-cluster that was founded by these very words."""
        self._grouped: dict[str, tuple[str, ...]] = {}
        """By event: micro-clusters that were grouped last; of the same ones the groups would be the same."""
        self._events_of: tuple[int, int, NarrativeParameters] | None = None
        """Posts placed, layout of the strands and parameters when events were grouped last; not stored."""
        self._silent_since_s = float("-inf")
        """No micro-cluster was silent for longer when last looked; not stored."""
        self._ended: list[MicroClusterEnd] = []
        self._unsettled: dict[str, None] = {}
        """Micro-clusters that were not settled yet; not stored, as they say so themselves."""
        self._changed: dict[str, None] = {}
        """Narratives whose posts changed since that was last asked; not stored: after a restore it is all."""
        self._ranks: dict[str, int] = {}
        """By narrative, its rank in the order of creation; not stored: it is the order of `narratives`."""
        self._naming: dict[str, None] = {}
        """Micro-clusters whose posts name somebody; not stored."""
        self._withheld: tuple[NamedPersonParameters, Withheld] | None = None
        """Names that nothing may show, until another is told; not stored: it follows from the rest."""
        self._told_more = False
        """Whether a name was told since."""
        self._labels: dict[str, tuple[tuple[object, ...], str]] = {}
        """By narrative, the last label with what it was made of; not stored: it follows from the rest."""

    def restore(
        self,
        strands: dict[str, Strand],
        micros: dict[str, MicroCluster],
        narratives: dict[str, NarrativeState],
        parameters: NarrativeParameters,
    ) -> None:
        """Take over what a snapshot held (`centroids` is restored apart)."""
        self.strands, self.micros, self.narratives = strands, micros, narratives
        self._naming = {micro_id: None for micro_id, micro in micros.items() if micro.names.told}
        self._withheld = None
        self._unsettled = {micro_id: None for micro_id, micro in micros.items() if not micro.settled}
        self._changed = dict.fromkeys(narratives)
        self._silent_since_s = float("-inf")
        self._ranks = {narrative_id: rank for rank, narrative_id in enumerate(narratives)}
        for narrative in narratives.values():
            if len(narrative.members) == 1 and _same(narrative.tally, micros[narrative.members[0]].tally):
                narrative.tally = micros[narrative.members[0]].tally
        self.weigh_again(parameters)

    def weigh_again(self, parameters: NarrativeParameters) -> None:
        """Make the wordings from the founders' vectors: after a restore, or when the channels' weights changed."""
        self._strand_ids = list(self.strands)
        self._wordings, self._by_words, self._grouped = {}, {}, {}
        self._events_of = self._events = None
        for micro in self.micros.values():
            self._know(micro, whole([micro.vector], parameters.lexical_weight)[0])

    def join(
        self, post: ScoredPost, vector: Vector, search: Search, place: int, parameters: NarrativeParameters
    ) -> str:
        """Put a post, the batch's `place`-th, with its micro-cluster, or let it found one; the micro-cluster's id."""
        self.placed += 1
        whole_vector = search.vector(place)
        micro = self.micros.get(self._by_words.get(_words_key(vector), ""))
        fading = (parameters.event_fading, float(parameters.event_fading_posts))
        is_repeat = micro is not None
        if micro is not None:
            row, similarity = self.strands[micro.strand_id].row, 1.0
        else:
            row, similarity = search.nearest(place, self.placed, fading)
        if row < 0 or similarity < parameters.strand_similarity:
            similarities = search.similarities(place, self.placed, fading)
            event_id = self._event_about(similarities, parameters.joining_similarity)
            search.changed(self.centroids.found(whole_vector, self.placed))
            names = self._unused(post.post_id)
            return self._found(post, vector, whole_vector, self._found_strand(post, event_id, names), names)
        strand = self.strands[self._strand_ids[row]]
        micro = micro or self._of_wording(strand, whole_vector, parameters.micro_similarity)
        self.centroids.absorb(row, whole_vector, self.placed)
        search.changed(row)
        if not is_repeat and int(self.centroids.sizes[row]) in PLACED_AGAIN_AT:
            self._place_again(strand, search.similarities(place, self.placed, fading), parameters)
        if micro is None:
            return self._found(post, vector, whole_vector, strand, self._unused(post.post_id))
        _show(micro, "most_central", similarity, post)
        return micro.micro_id

    def count(self, micro_id: str, post: ScoredPost, mark: Mark) -> int:
        """Count a post in its micro-cluster and narrative; posts in the narrative's ten minutes now."""
        micro = self.micros[micro_id]
        in_ten = micro.tally.add(mark)
        if mark.own_words:
            _show(micro, "earliest", -post.created_at_s, post)
            if post.stance.deny >= 0.5:
                _show(micro, "dissenting", post.stance.deny, post)
            if mark.inciting:
                _show(micro, "indicator", post.incitement, post)
        self._changed[micro.narrative_id] = None
        tally = self.narratives[micro.narrative_id].tally
        return in_ten if tally is micro.tally else tally.add(mark)

    def changed(self, others: Iterable[str]) -> list[NarrativeState]:
        """Narratives whose posts changed since this was last asked, and others by id; in order of creation."""
        ids = {one for one in (*self._changed, *others) if one in self.narratives}
        self._changed = {}
        return [self.narratives[one] for one in sorted(ids, key=self._ranks.__getitem__)]

    def cascade_posts(self, micro_id: str, post: ScoredPost, parameters: ViralityParameters) -> int:
        """Note a post in its cascade; posts of the cascade in the window that ends with it.

        Copies that do not say what they follow count for less: share buttons, headline feeds and give-aways make many.
        """
        posts = self.micros[micro_id].cascades.add(cascade_of(post), post.created_at_s, parameters.window_s)
        if is_linked(post):
            return posts
        return posts * parameters.least_cascade_posts // max(parameters.least_cascade_posts, parameters.least_copies)

    def shared(self, micro_id: str, root: ScoredPost, root_id: str, text: str, reshares: int) -> None:
        """Remember the most shared post, with the text that its reshare carries."""
        micro = self.micros[micro_id]
        best = micro.shown.get("most_shared")
        if text and (best is None or reshares > best.rank):
            micro.shown["most_shared"] = Shown(
                float(reshares), root_id, text, root.platform, root.created_at_s, _words(root), 0, _sources(root)
            )

    def name(self, micro_id: str, mark: Mark) -> int:
        """Count whom a post accuses; names that were forgotten for want of room."""
        if not mark.namings:
            return 0
        names = self.micros[micro_id].names
        self._naming[micro_id] = None
        self._told_more = True
        return sum(names.add(naming, mark.author_key) for naming in mark.namings)

    def is_naming(self, narrative: NarrativeState) -> bool:
        """Whether posts of a narrative accuse somebody by name, or did."""
        return not self._naming.keys().isdisjoint(narrative.members)

    def names_of(self, narrative: NarrativeState) -> Names:
        """Whom the posts of a narrative accuse."""
        members = [micro for micro in self.live_members(narrative) if micro.micro_id in self._naming]
        return merged(micro.names for micro in members)

    def telling(self, name: str) -> list[MicroCluster]:
        """Micro-clusters, of whatever narrative, with posts that accuse somebody of this name; in order of creation."""
        key = person_key(name)
        naming = (self.micros[micro_id] for micro_id in self._naming)
        found = [micro for micro in naming if key in micro.names.told and micro.names.told[key].posts > 0]
        return sorted(found, key=lambda micro: micro.place)

    def withheld(self, parameters: NamedPersonParameters) -> Withheld:
        """Names of persons who may be private and were named by several accounts, wherever: nothing may show them."""
        if self._withheld is None or self._told_more or self._withheld[0] != parameters:
            live = [self.micros[micro_id].names for micro_id in self.micros if micro_id in self._naming]
            now = withheld_in(merged(live), parameters)
            before = None if self._withheld is None else self._withheld[1]
            if before is not None and (before.names, before.minors) == (now.names, now.minors):
                now = before  # which remembers the texts that it was asked for
            self._withheld = parameters, now
            self._told_more = False
        return self._withheld[1]

    def uncount(self, micro_id: str, mark: Mark) -> None:
        """Take a deleted post out of the counts."""
        micro = self.micros.get(micro_id)
        if micro is not None:
            for naming in mark.namings:
                micro.names.remove(naming, mark.author_key)
                self._withheld = None
            micro.tally.remove(mark)
            self._changed[micro.narrative_id] = None
            tally = self.narratives[micro.narrative_id].tally
            if tally is not micro.tally:
                tally.remove(mark)

    def label(self, narrative_id: str, of: tuple[object, ...], make: Callable[[], str]) -> str:
        """Label of a narrative, made anew where that `of` which it is made has changed."""
        if narrative_id not in self.narratives:
            return make()  # its last word
        last = self._labels.get(narrative_id)
        if last is None or last[0] != of:
            last = self._labels[narrative_id] = of, make()
        return last[1]

    def hide(self, post_ids: Collection[str], author_key: int | None = None) -> list[NarrativeState]:
        """Take deleted posts out of the exemplars, wherever they are shown; the narratives that showed one.

        A scan: an exemplar may be older than the index, or known from its reshares alone. What was named after a
        deleted post keeps its name, which is a digest.
        """
        self._withheld = None  # it remembers texts
        self._labels = {}  # so do they
        hidden: dict[str, NarrativeState] = {}
        for micro in self.micros.values():
            gone = {one.post_id for one in micro.shown.values() if one.is_of(post_ids, author_key)}
            if micro.founder_id in gone or micro.founder_id in post_ids:
                strand = self.strands[micro.strand_id]
                if strand.founder_id == micro.founder_id:
                    strand.founder_id = strand.strand_id
                micro.founder_id = micro.micro_id
            if gone:
                micro.shown = {why: one for why, one in micro.shown.items() if one.post_id not in gone}
                hidden[micro.narrative_id] = self.narratives[micro.narrative_id]
        return list(hidden.values())

    def forget_author(self, author_key: int) -> None:
        """Take an erased author out of every sketch."""
        for micro in self.micros.values():
            micro.tally.forget(author_key)
            micro.names.forget(author_key)
        self._withheld = None
        for narrative in self.narratives.values():
            narrative.tally.forget(author_key)

    def narrative_of(self, micro_id: str | None) -> NarrativeState | None:
        """Return the narrative that a micro-cluster belongs to now."""
        micro = self.micros.get(micro_id) if micro_id else None
        return self.narratives[micro.narrative_id] if micro else None

    def live_members(self, narrative: NarrativeState) -> list[MicroCluster]:
        """Its micro-clusters that still live: of a narrative that is gone perhaps none."""
        return [self.micros[micro_id] for micro_id in narrative.members if micro_id in self.micros]

    def wordings(self, narrative: NarrativeState) -> list[tuple[str, Vector]]:
        """What a narrative says, as texts with vectors: the founding wordings of its largest micro-clusters.

        Where what is told drifts, it founds new ones, which grow.
        """
        micros = sorted(self.live_members(narrative), key=lambda one: (-one.tally.posts, one.place))[:WORDINGS_MICROS]
        pairs: dict[str, tuple[str, Vector]] = {}
        for micro in micros:
            texts = [micro.shown[why].text for why in ("earliest", "most_shared") if why in micro.shown]
            for text in texts or told_by(micro):
                pairs.setdefault(text, (text, micro.vector))
        return list(pairs.values())

    def exemplars(self, narrative: NarrativeState) -> dict[Why, Shown]:
        """Return the best of each kind over its micro-clusters, each post once."""
        chosen: dict[Why, Shown] = {}
        taken: set[str] = set()
        for why in REASONS_SHOWN:
            candidates = [micro.shown[why] for micro in self.live_members(narrative) if why in micro.shown]
            candidates = [shown for shown in candidates if shown.post_id not in taken]
            if candidates:
                chosen[why] = max(candidates, key=lambda shown: (shown.rank, shown.post_id))
                taken.add(chosen[why].post_id)
        return chosen

    def is_due(self, now_s: float, parameters: NarrativeParameters) -> bool:
        """Whether to group again: enough is new, or time has passed; the more are live, the longer the pause.

        A grouping costs the square of the live strands, so the pause grows with it; and as much for little that is new
        as for much, so that little waits longer: or a thin stream would be grouped at every post.
        """
        if not self.new_since_grouping:
            return False
        if self.new_since_grouping >= max(parameters.regroup_changes, len(self.micros) // REGROUPED_SHARE):
            return True
        pause_s = parameters.regroup_after_s * (1.0 + (len(self.strands) / 500.0) ** 2)
        pause_s *= max(1.0, len(self.micros) / (SOON_REGROUPED_SHARE * self.new_since_grouping))
        return now_s - self.grouped_at_s >= pause_s

    def group(self, now_s: float, parameters: NarrativeParameters, *, nothing_more: bool = False) -> list[Change]:
        """Let idle micro-clusters die, group the rest into events and narratives; what became of the narratives.

        With `nothing_more` to come what is new is grouped too.
        """
        changes = self._bury(now_s, parameters)
        self.new_since_grouping = 0
        self.grouped_at_s = now_s
        self._group_events(parameters)
        self._settle(now_s, parameters, nothing_more=nothing_more)
        changes += self._group_narratives(parameters)
        if self._unsettled:
            self.new_since_grouping = 1  # they are grouped when time has passed
        return changes

    def _settle(self, now_s: float, parameters: NarrativeParameters, *, nothing_more: bool) -> None:
        for micro in [self.micros[micro_id] for micro_id in self._unsettled]:
            is_single = micro.tally.posts < parameters.followed_posts
            due_s = now_s - (parameters.unfollowed_s if is_single else parameters.settling_s)
            if nothing_more or micro.founded_at_s <= due_s:
                micro.settled = True
                del self._unsettled[micro.micro_id]

    def ended(self) -> list[MicroClusterEnd]:
        """Return the micro-clusters that died since this was last asked."""
        ended, self._ended = self._ended, []
        return ended

    def _of_wording(self, strand: Strand, whole_vector: Floats, least: float) -> MicroCluster | None:
        micro_id, similarity = self._wordings[strand.strand_id].nearest(whole_vector)
        return self.micros[micro_id] if micro_id is not None and similarity >= least else None

    def _event_about(self, similarities: NDArray[np.float64], least: float) -> str | None:
        """The event that a post is about that founds a strand; None where none reaches `least`.

        Half-way between single link and average link: of an event count the nearest strand and, in equal parts, all its
        posts. One strand may be near by chance, and an event is as wide as what it was grouped from. `similarities` are
        those of the post with each strand, in the order of the rows, in which the sums are taken too.
        """
        if not len(similarities) or similarities.max() < least:  # a mean is never above the nearest
            return None
        event_id, similarity = self._event_rows().nearest(similarities, self.centroids.sizes)
        return event_id if similarity >= least else None

    def _event_rows(self) -> EventRows:
        if self._events is None:
            self._events = EventRows()
            for strand in self.strands.values():
                self._events.put(strand.event_id)
        return self._events

    def _place_again(self, strand: Strand, similarities: NDArray[np.float64], parameters: NarrativeParameters) -> None:
        """Put a strand that has grown into the event that it is about now, or into one of its own.

        Until all are grouped again, what its first post said would decide where every further post goes. The strand as
        a whole is asked where its newest post is about something else: `similarities` are those of that post.
        """
        sizes = self.centroids.sizes.copy()
        sizes[strand.row] = 0
        if self._event_beside(strand, similarities, sizes, parameters) == strand.event_id:
            return
        fading = (parameters.event_fading, float(parameters.event_fading_posts))
        whole_strand = self.centroids.similarities(strand.row, self.placed, fading)
        event_id = self._event_beside(strand, whole_strand, sizes, parameters)
        if event_id is None and self._event_rows().strands_of(strand.row) > 1:
            event_id = self._new_event(strand)
        if event_id is None or event_id == strand.event_id:
            return
        strand.event_id = event_id
        self._events = None
        for narrative_id in dict.fromkeys(self.micros[micro_id].narrative_id for micro_id in strand.members):
            self._take_event(self.narratives[narrative_id])

    def _event_beside(
        self,
        strand: Strand,
        similarities: NDArray[np.float64],
        sizes: NDArray[np.int64],
        parameters: NarrativeParameters,
    ) -> str | None:
        """The event that these similarities are about, the strand itself left out, whose size is 0."""
        similarities[strand.row] = -1.0
        event_id, similarity = self._event_rows().nearest(similarities, sizes)
        return event_id if similarity >= parameters.joining_similarity else None

    def _take_event(self, narrative: NarrativeState) -> None:
        narrative.event_id = self.strands[self.micros[narrative.members[0]].strand_id].event_id

    def _found_strand(self, post: ScoredPost, event_id: str | None, names: _Names) -> Strand:
        strand_id = names.strand_id
        strand = Strand(
            strand_id=strand_id,
            founder_id=post.post_id,
            event_id=event_id or name_after(post.post_id, "e", names.generation),
            row=self.centroids.count - 1,
            members=[],
            founded=names.generation + 1,
        )
        self.strands[strand_id] = strand
        self._strand_ids.append(strand_id)
        if self._events is not None:
            self._events.put(strand.event_id)
        return strand

    def _found(self, post: ScoredPost, vector: Vector, whole_vector: Floats, strand: Strand, names: _Names) -> str:
        micro_id, narrative_id = names.micro_id, names.narrative_id
        micro = MicroCluster(
            micro_id=micro_id,
            founder_id=post.post_id,
            founded_at_s=post.created_at_s,
            strand_id=strand.strand_id,
            narrative_id=narrative_id,
            place=self.placed,
            vector=vector,
            tally=Tally(),
            founded=names.generation + 1,
        )
        self.micros[micro_id] = micro
        self._unsettled[micro_id] = None
        self._silent_since_s = min(self._silent_since_s, post.created_at_s)
        self._know(micro, whole_vector)
        strand.members.append(micro_id)
        self._begin(narrative_id, strand.event_id, [micro_id], micro.tally)
        self.new_since_grouping += 1
        return micro_id

    def _begin(self, narrative_id: str, event_id: str, members: list[str], tally: Tally) -> None:
        self._ranks[narrative_id] = next(reversed(self._ranks.values()), -1) + 1
        self.narratives[narrative_id] = NarrativeState(
            narrative_id=narrative_id, event_id=event_id, members=members, tally=tally
        )

    def _end(self, narrative_id: str) -> NarrativeState:
        del self._ranks[narrative_id]
        self._labels.pop(narrative_id, None)
        return self.narratives.pop(narrative_id)

    def _know(self, micro: MicroCluster, whole_vector: Floats) -> None:
        self._wordings.setdefault(micro.strand_id, Wordings()).put(micro.micro_id, whole_vector)
        self._by_words.setdefault(_words_key(micro.vector), micro.micro_id)

    def _unused(self, post_id: str) -> _Names:
        """Names that are free: a post may come again when the index has forgotten it."""
        for generation in count():
            micro_id, strand_id, narrative_id = [name_after(post_id, kind, generation) for kind in FOUNDED]
            if micro_id not in self.micros and strand_id not in self.strands and narrative_id not in self.narratives:
                return _Names(generation, micro_id, strand_id, narrative_id)
        raise AssertionError

    def _bury(self, now_s: float, parameters: NarrativeParameters) -> list[Change]:
        """Remove micro-clusters that were idle too long, and past the cap those idle longest."""
        is_room = len(self.micros) <= parameters.live_micro_clusters
        if is_room and self._silent_since_s >= now_s - parameters.idle_after_s:
            return []
        idle = [micro for micro in self.micros.values() if micro.tally.last_at_s < now_s - parameters.idle_after_s]
        over = len(self.micros) - len(idle) - parameters.live_micro_clusters
        if over > 0:
            busy = [micro for micro in self.micros.values() if micro.tally.last_at_s >= now_s - parameters.idle_after_s]
            busy.sort(key=lambda micro: (micro.tally.last_at_s, micro.micro_id))
            idle += busy[:over]
            self.dropped_micros += over
        changes = []
        for micro in idle:
            narrative = self.narratives[micro.narrative_id]
            narrative.members.remove(micro.micro_id)
            self._ended.append(
                MicroClusterEnd(
                    micro_cluster=micro.micro_id, narrative_id=narrative.narrative_id, event_id=narrative.event_id
                )
            )
            self._forget(micro)
            if not narrative.members:
                self._end(narrative.narrative_id)
                changes.append(Change("death", narrative.narrative_id, None, narrative.tally.posts, narrative))
        self._bury_strands()
        self._silent_since_s = min([micro.tally.last_at_s for micro in self.micros.values()], default=float("inf"))
        return changes

    def _forget(self, micro: MicroCluster) -> None:
        del self.micros[micro.micro_id]
        self._unsettled.pop(micro.micro_id, None)
        if micro.micro_id in self._naming:
            del self._naming[micro.micro_id]
            self._withheld = None
        self.strands[micro.strand_id].members.remove(micro.micro_id)
        self._wordings[micro.strand_id].remove(micro.micro_id)
        key = _words_key(micro.vector)
        if self._by_words.get(key) == micro.micro_id:
            del self._by_words[key]

    def _bury_strands(self) -> None:
        empty = [strand for strand in self.strands.values() if not strand.members]
        if not empty:
            return
        self.centroids.remove([strand.row for strand in empty])
        for strand in empty:
            del self.strands[strand.strand_id]
            del self._wordings[strand.strand_id]
        self._strand_ids = list(self.strands)
        self._events = None
        for row, strand in enumerate(self.strands.values()):
            strand.row = row

    def _group_events(self, parameters: NarrativeParameters) -> None:
        """Group strands by what they are about, the most recently active as far as the cap goes.

        Where no strand has changed the groups would be the same, and so would their names.
        """
        strands = self.placed, self.centroids.layout, parameters
        if strands == self._events_of:
            return
        self._events_of = strands
        last_places = self.centroids.last_places
        recent = np.argsort(-last_places, kind="stable")[: parameters.grouped_strands]
        fading = (parameters.event_fading, float(parameters.event_fading_posts))
        groups = [
            [self._strand_ids[row] for row in group]
            for group in event_groups(self.centroids, np.sort(recent), parameters.event_similarity, fading)
        ]
        old = {strand_id: self.strands[strand_id].event_id for group in groups for strand_id in group}
        sizes = self.centroids.sizes.tolist()
        weight = {strand_id: sizes[self.strands[strand_id].row] for strand_id in old}
        for group, name in zip(groups, inherit(groups, old, weight), strict=True):
            event_id = name or self._new_event(self.strands[group[0]])
            for strand_id in group:
                self.strands[strand_id].event_id = event_id
        self._events = None

    def _new_event(self, founder: Strand) -> str:
        founder.founded += 1
        return name_after(founder.founder_id, "e", founder.founded)

    def _group_narratives(self, parameters: NarrativeParameters) -> list[Change]:
        """Group the micro-clusters of each event that changed."""
        by_event: dict[str, list[MicroCluster]] = {}
        for micro in self.micros.values():
            if micro.settled:
                by_event.setdefault(self.strands[micro.strand_id].event_id, []).append(micro)
        groups: list[list[str]] = []
        grouped: dict[str, tuple[str, ...]] = {}
        for event_id, kept in _within_cap(by_event, parameters.grouped_micro_clusters).items():
            grouped[event_id] = tuple(micro.micro_id for micro in kept)
            if self._grouped.get(event_id) != grouped[event_id]:
                groups += self._stories(kept, parameters)
        self._grouped = grouped
        old = {micro_id: self.micros[micro_id].narrative_id for group in groups for micro_id in group}
        weight = {micro_id: self.micros[micro_id].tally.posts for micro_id in old}
        changes = self._rename(groups, inherit(groups, old, weight), old, weight)
        for narrative in self.narratives.values():
            self._take_event(narrative)
        return changes

    @staticmethod
    def _stories(micros: list[MicroCluster], parameters: NarrativeParameters) -> list[list[str]]:
        if not micros:
            return []
        groups = narrative_groups(
            whole_dense([micro.vector for micro in micros]),
            np.array([micro.founded_at_s for micro in micros]),
            parameters.narrative_similarity,
            (parameters.narrative_fading, parameters.narrative_fading_s),
        )
        return [[micros[index].micro_id for index in group] for group in groups]

    def _rename(
        self, groups: list[list[str]], names: list[str | None], old: dict[str, str], weight: dict[str, int]
    ) -> list[Change]:
        changes: list[Change] = []
        before = {one: set(self.narratives[one].members) for one in dict.fromkeys(old.values())}
        for group, name in zip(groups, names, strict=True):
            if name is not None and before[name] == set(group):
                continue
            narrative = self._regroup(group, name)
            if name is None:
                parent = _heaviest(group, old, weight)
                changes.append(Change("split", narrative.narrative_id, parent, narrative.tally.posts))
        moved = {micro_id for group in groups for micro_id in group}
        kept = set(names)
        for narrative_id in [one for one, members in before.items() if one not in kept and members <= moved]:
            gone = self._end(narrative_id)
            into = _heaviest(
                sorted(before[narrative_id]),
                {one: self.micros[one].narrative_id for one in before[narrative_id]},
                weight,
            )
            changes.append(Change("merge", narrative_id, into, gone.tally.posts, gone))
        return changes

    def _regroup(self, group: list[str], name: str | None) -> NarrativeState:
        """Make a narrative of these micro-clusters, carrying on `name` or under a new one after the oldest."""
        micros = sorted((self.micros[micro_id] for micro_id in group), key=lambda micro: micro.place)
        if name is None:
            founder = micros[0]
            name = name_after(founder.founder_id, "n", founder.founded)
            while name in self.narratives:
                founder.founded += 1
                name = name_after(founder.founder_id, "n", founder.founded)
            founder.founded += 1
            self._begin(name, self.narratives[founder.narrative_id].event_id, [], founder.tally)
        self._changed[name] = None
        narrative = self.narratives[name]
        narrative.members = [micro.micro_id for micro in micros]
        narrative.tally = micros[0].tally if len(micros) == 1 else merged_tally([micro.tally for micro in micros])
        narrative.matched_at_posts = 0
        for micro in micros:
            micro.narrative_id = name
        return narrative


def _within_cap(by_event: dict[str, list[MicroCluster]], most: int) -> dict[str, list[MicroCluster]]:
    """Of each event the most recently active ones, in order; a narrative with one that is beyond the cap stays whole.

    Whole over all events: the micro-clusters of a narrative may have come to lie in several since it was made.
    """
    beyond: set[str] = set()
    for micros in by_event.values():
        if len(micros) > most:
            recent = sorted(micros, key=lambda micro: (-micro.tally.last_at_s, micro.place))
            beyond.update(micro.narrative_id for micro in recent[most:])
    return {
        event_id: [micro for micro in micros if micro.narrative_id not in beyond]
        for event_id, micros in by_event.items()
    }


def _same(one: Tally, other: Tally) -> bool:
    """Whether two tallies are the same to the last bit, and stay so when the same posts come."""
    return msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)


def _heaviest(items: list[str], names: dict[str, str], weight: dict[str, int]) -> str:
    """Return the name under which most of the weight of the items is."""
    sums: dict[str, int] = {}
    for item in items:
        sums[names[item]] = sums.get(names[item], 0) + weight[item]
    return min(sums, key=lambda name: (-sums[name], name))


def _show(micro: MicroCluster, why: Why, rank: float, post: ScoredPost) -> None:
    best = micro.shown.get(why)
    if best is None or rank > best.rank:
        micro.shown[why] = Shown(
            rank,
            post.post_id,
            post.text,
            post.platform,
            post.created_at_s,
            _words(post),
            author_key(post.author_id),
            _sources(post),
        )


def _sources(post: ScoredPost) -> tuple[str, ...]:
    """Posts that a reshare repeats; every other post speaks for itself."""
    return tuple(one for one in (post.parent_id, post.root_id) if one) if post.kind == "reshare" else ()


def _words_key(vector: Vector) -> bytes:
    """Name the words of a text, whatever their order; its sentence where it has none."""
    return hashlib.blake2b(vector.lexical if any(vector.lexical) else vector.dense, digest_size=16).digest()


def _words(post: ScoredPost) -> tuple[str, ...]:
    return tuple(f"{indicator.kind}: {indicator.words}" for indicator in post.indicators)
