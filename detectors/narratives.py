"""Posts into micro-clusters, micro-clusters into narratives, narratives into events, with names that last.

A post joins the nearest micro-cluster, or founds one, which is a narrative of its own until the micro-clusters are
grouped again. Grouping keeps names: a group carries on the narrative that most of its posts came from. Ids derive
from the founding post and are never given twice.
"""

import hashlib
from collections.abc import Collection
from itertools import count
from typing import Literal

import msgspec
from msgspec import Struct, field

from detectors.cascades import Cascades, cascade_of
from detectors.entries import ScoredPost, Vector
from detectors.grouping import event_groups, group_centroids, inherit, neighbourhoods, stories_in
from detectors.micro_clusters import MicroClusters, Search
from detectors.named_persons import Names, Withheld, merged, withheld_in
from detectors.policy import NamedPersonParameters, NarrativeParameters
from detectors.records import MatchedClaim, MicroClusterEnd
from detectors.vectors import dense_direction
from detectors.virality import Mark, Tally, author_key

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
    """Posts in near-identical wording."""

    micro_id: str
    founder_id: str
    narrative_id: str
    row: int
    vector: Vector
    """Of the founding post; what claims are matched with."""
    tally: Tally
    shown: dict[str, Shown] = {}
    cascades: Cascades = field(default_factory=Cascades)
    names: Names = field(default_factory=Names)
    """Persons that its posts accuse."""
    founded: int = 1
    """Narratives that were named after its founding post."""


class NarrativeState(Struct):
    """Micro-clusters that tell one story."""

    narrative_id: str
    event_id: str
    members: list[str]
    tally: Tally
    matches: tuple[MatchedClaim, ...] = ()
    matched_at_posts: int = 0
    matched_at_claims: int = -1
    sent_posts: int = 0
    sent_at_s: float = 0.0
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


def name_after(post_id: str, kind: Literal["m", "n", "e"], generation: int = 0) -> str:
    """Id of a micro-cluster, narrative or event that this post founded.

    >>> name_after("post-1", "n") == name_after("post-1", "n")
    True
    >>> name_after("post-1", "n") == name_after("post-1", "n", 1)
    False
    """
    digest = hashlib.blake2b(f"{kind}/{generation}/{post_id}".encode(), digest_size=8)
    return f"{kind}-{digest.hexdigest()}"


class Narratives:
    """Everything that is live, at its three levels."""

    def __init__(self) -> None:
        self.clusters = MicroClusters()
        self.micros: dict[str, MicroCluster] = {}
        """In order of creation, which is the order of the rows of `clusters`."""
        self.narratives: dict[str, NarrativeState] = {}
        self.new_since_grouping = 0
        self.grouped_at_s = 0.0
        self.dropped_micros = 0
        self._ids_by_row: list[str] = []
        self._ended: list[MicroClusterEnd] = []
        self._naming: dict[str, None] = {}
        """Micro-clusters whose posts name somebody; not stored."""
        self._withheld: tuple[NamedPersonParameters, Withheld] | None = None
        """Names that nothing may show, until another is told; not stored: it follows from the rest."""

    def restore(self, micros: dict[str, MicroCluster], narratives: dict[str, NarrativeState]) -> None:
        """Take over what a snapshot held (`clusters` is restored apart)."""
        self.micros, self.narratives = micros, narratives
        self._ids_by_row = list(micros)
        self._naming = {micro_id: None for micro_id, micro in micros.items() if micro.names.told}
        self._withheld = None

    def join(
        self, post: ScoredPost, vector: Vector, search: Search, place: int, parameters: NarrativeParameters
    ) -> str:
        """Put a post, the batch's `place`-th, with its nearest micro-cluster, or let it found one; the micro's id."""
        row, similarity = search.nearest(place)
        if row >= 0 and similarity >= parameters.micro_similarity:
            self.clusters.absorb(row, search.vector(place))
            search.changed(row)
            micro = self.micros[self._ids_by_row[row]]
            _show(micro, "most_central", similarity, post)
            return micro.micro_id
        nearest = self._ids_by_row[row] if row >= 0 and similarity >= parameters.event_similarity else None
        search.changed(self.clusters.found(search.vector(place)))
        return self._found(post, vector, nearest)

    def count(self, micro_id: str, post: ScoredPost, mark: Mark) -> int:
        """Count a post in its micro-cluster and narrative; posts in the narrative's ten minutes now."""
        micro = self.micros[micro_id]
        micro.tally.add(mark)
        if mark.own_words:
            _show(micro, "earliest", -post.created_at_s, post)
            if post.stance.deny >= 0.5:
                _show(micro, "dissenting", post.stance.deny, post)
            if mark.inciting:
                _show(micro, "indicator", post.incitement, post)
        return self.narratives[micro.narrative_id].tally.add(mark)

    def cascade_posts(self, micro_id: str, post: ScoredPost, window_s: float) -> int:
        """Note a post in its cascade; posts of the cascade in the window that ends with it."""
        return self.micros[micro_id].cascades.add(cascade_of(post), post.created_at_s, window_s)

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
        self._withheld = None
        return sum(names.add(naming, mark.author_key) for naming in mark.namings)

    def names_of(self, narrative: NarrativeState) -> Names:
        """Whom the posts of a narrative accuse."""
        members = [micro for micro in self.live_members(narrative) if micro.micro_id in self._naming]
        return merged(micro.names for micro in members)

    def withheld(self, parameters: NamedPersonParameters) -> Withheld:
        """Names of persons who may be private and were named by several accounts, wherever: nothing may show them."""
        if self._withheld is None or self._withheld[0] != parameters:
            live = [self.micros[micro_id].names for micro_id in self.micros if micro_id in self._naming]
            self._withheld = parameters, withheld_in(merged(live), parameters)
        return self._withheld[1]

    def uncount(self, micro_id: str, mark: Mark) -> None:
        """Take a deleted post out of the counts."""
        micro = self.micros.get(micro_id)
        if micro is not None:
            for naming in mark.namings:
                micro.names.remove(naming, mark.author_key)
                self._withheld = None
            micro.tally.remove(mark)
            self.narratives[micro.narrative_id].tally.remove(mark)

    def hide(self, post_ids: Collection[str], author_key: int | None = None) -> list[NarrativeState]:
        """Take deleted posts out of the exemplars, wherever they are shown; the narratives that showed one.

        A scan: an exemplar may be older than the index, or known from its reshares alone. What was named after a
        deleted post keeps its name, which is a digest.
        """
        hidden: dict[str, NarrativeState] = {}
        for micro in self.micros.values():
            gone = {one.post_id for one in micro.shown.values() if one.is_of(post_ids, author_key)}
            if micro.founder_id in gone or micro.founder_id in post_ids:
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
        """What a narrative says, as texts with vectors: how its largest micro-clusters began, and where they are now.

        Wordings drift: the centroid stands for what most of a micro-cluster's posts say, and goes with the texts
        closest to it and shared most. Each pair comes once.
        """
        micros = sorted(self.live_members(narrative), key=lambda one: (-one.tally.posts, one.row))[:WORDINGS_MICROS]
        pairs: dict[tuple[str, bytes], tuple[str, Vector]] = {}
        for micro in micros:
            centroid = self._centroid(micro)
            sources: tuple[tuple[Why, Vector], ...] = (
                ("earliest", micro.vector),
                ("most_central", centroid),
                ("most_shared", centroid),
            )
            for why, vector in sources:
                if why in micro.shown:
                    text = micro.shown[why].text
                    pairs.setdefault((text, vector.dense), (text, vector))
        return list(pairs.values())

    def _centroid(self, micro: MicroCluster) -> Vector:
        """Sentence vector of the middle of a micro-cluster; a single post's is its own."""
        if self.clusters.sizes[micro.row] == 1:
            return micro.vector
        dense = dense_direction(self.clusters.totals[micro.row], len(micro.vector.dense))
        return msgspec.structs.replace(micro.vector, dense=dense)

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

        A grouping costs the square of the live micro-clusters, so the pause grows with it.
        """
        live = len(self.micros)
        if not self.new_since_grouping:
            return False
        if self.new_since_grouping >= max(parameters.recluster_changes, live // 10):
            return True
        return now_s - self.grouped_at_s >= parameters.recluster_after_s * (1.0 + (live / 500.0) ** 2)

    def group(self, now_s: float, parameters: NarrativeParameters) -> list[Change]:
        """Let idle micro-clusters die, group the rest into narratives and events; what became of the narratives."""
        changes = self._bury(now_s, parameters)
        self.new_since_grouping = 0
        self.grouped_at_s = now_s
        neighbours = self._neighbours(parameters)
        changes += self._group_narratives(neighbours, parameters)
        self._group_events(neighbours, parameters)
        return changes

    def ended(self) -> list[MicroClusterEnd]:
        """Return the micro-clusters that died since this was last asked."""
        ended, self._ended = self._ended, []
        return ended

    def _found(self, post: ScoredPost, vector: Vector, nearest: str | None) -> str:
        generation = self._unused(post.post_id)
        micro_id = name_after(post.post_id, "m", generation)
        narrative_id = name_after(post.post_id, "n", generation)
        event_id = self.narratives[self.micros[nearest].narrative_id].event_id if nearest else None
        self.micros[micro_id] = MicroCluster(
            micro_id=micro_id,
            founder_id=post.post_id,
            narrative_id=narrative_id,
            row=self.clusters.count - 1,
            vector=vector,
            tally=Tally(),
            founded=generation + 1,
        )
        self._ids_by_row.append(micro_id)
        self.narratives[narrative_id] = NarrativeState(
            narrative_id=narrative_id,
            event_id=event_id or name_after(post.post_id, "e"),
            members=[micro_id],
            tally=Tally(),
        )
        self.new_since_grouping += 1
        return micro_id

    def _unused(self, post_id: str) -> int:
        """Generation that is free: a post may come again when the index has forgotten it."""
        for generation in count():
            taken = name_after(post_id, "m", generation) in self.micros
            if not taken and name_after(post_id, "n", generation) not in self.narratives:
                return generation
        raise AssertionError

    def _bury(self, now_s: float, parameters: NarrativeParameters) -> list[Change]:
        """Remove micro-clusters that were idle too long, and past the cap those idle longest."""
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
            del self.micros[micro.micro_id]
            if micro.micro_id in self._naming:
                del self._naming[micro.micro_id]
                self._withheld = None
            if not narrative.members:
                del self.narratives[narrative.narrative_id]
                changes.append(Change("death", narrative.narrative_id, None, narrative.tally.posts, narrative))
        if idle:
            self.clusters.remove([micro.row for micro in idle])
            self._ids_by_row = list(self.micros)
            for row, micro in enumerate(self.micros.values()):
                micro.row = row
        return changes

    def _neighbours(self, parameters: NarrativeParameters) -> list[list[int]]:
        """Rows of the micro-clusters that are live, the most recently active as far as the cap goes, in groups."""
        recent = sorted(self.micros.values(), key=lambda micro: (-micro.tally.last_at_s, micro.row))
        rows = sorted(micro.row for micro in recent[: parameters.clustered_micro_clusters])
        return [[rows[index] for index in group] for group in neighbourhoods(self.clusters.centroids[rows])]

    def _group_narratives(self, neighbours: list[list[int]], parameters: NarrativeParameters) -> list[Change]:
        stories = [
            [self._ids_by_row[row] for row in story]
            for rows in neighbours
            for story in stories_in(self.clusters.centroids, rows, parameters.narrative_similarity)
        ]
        old = {micro_id: self.micros[micro_id].narrative_id for story in stories for micro_id in story}
        # A narrative with micro-clusters beyond the cap stays whole; the others are grouped without it.
        partly = {micro.narrative_id for micro in self.micros.values() if micro.micro_id not in old}
        stories = [[micro_id for micro_id in story if old[micro_id] not in partly] for story in stories]
        groups = sorted((story for story in stories if story), key=lambda story: self.micros[story[0]].row)
        weight = {micro_id: self.micros[micro_id].tally.posts for micro_id in old}
        names = inherit(groups, old, weight)
        return self._rename(groups, names, old, weight)

    def _rename(
        self, groups: list[list[str]], names: list[str | None], old: dict[str, str], weight: dict[str, int]
    ) -> list[Change]:
        changes: list[Change] = []
        before = {narrative_id: set(narrative.members) for narrative_id, narrative in self.narratives.items()}
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
            gone = self.narratives.pop(narrative_id)
            into = _heaviest(
                sorted(before[narrative_id]),
                {one: self.micros[one].narrative_id for one in before[narrative_id]},
                weight,
            )
            changes.append(Change("merge", narrative_id, into, gone.tally.posts, gone))
        return changes

    def _regroup(self, group: list[str], name: str | None) -> NarrativeState:
        """Make a narrative of these micro-clusters, carrying on `name` or under a new one after the oldest."""
        micros = sorted((self.micros[micro_id] for micro_id in group), key=lambda micro: micro.row)
        if name is None:
            founder = micros[0]
            name = name_after(founder.founder_id, "n", founder.founded)
            while name in self.narratives:
                founder.founded += 1
                name = name_after(founder.founder_id, "n", founder.founded)
            founder.founded += 1
            event_id = self.narratives[founder.narrative_id].event_id
            self.narratives[name] = NarrativeState(narrative_id=name, event_id=event_id, members=[], tally=Tally())
        narrative = self.narratives[name]
        narrative.members = [micro.micro_id for micro in micros]
        narrative.tally = Tally()
        narrative.matched_at_posts = 0
        for micro in micros:
            micro.narrative_id = name
            narrative.tally = narrative.tally.merge(micro.tally)
        return narrative

    def _group_events(self, neighbours: list[list[int]], parameters: NarrativeParameters) -> None:
        """Group narratives by what they are about; those of one neighbourhood stay together."""
        units = self._units(neighbours)
        if not units:
            return
        rows = [
            [self.micros[micro_id].row for narrative_id in unit for micro_id in self.narratives[narrative_id].members]
            for unit in units
        ]
        wholes = group_centroids(self.clusters.totals, rows)
        groups = [
            [narrative_id for index in group for narrative_id in units[index]]
            for group in event_groups(wholes, parameters.event_similarity)
        ]
        old = {narrative_id: self.narratives[narrative_id].event_id for unit in units for narrative_id in unit}
        weight = {narrative_id: self.narratives[narrative_id].tally.posts for narrative_id in old}
        for group, name in zip(groups, inherit(groups, old, weight), strict=True):
            event_id = name or self._new_event(group)
            for narrative_id in group:
                self.narratives[narrative_id].event_id = event_id

    def _units(self, neighbours: list[list[int]]) -> list[list[str]]:
        """Narratives of each neighbourhood, by the first micro-cluster that places them."""
        units: list[list[str]] = []
        placed: set[str] = set()
        for rows in neighbours:
            unit = dict.fromkeys(self.micros[self._ids_by_row[row]].narrative_id for row in rows)
            units.append([narrative_id for narrative_id in unit if narrative_id not in placed])
            placed.update(unit)
        return [unit for unit in units if unit]

    def _new_event(self, group: list[str]) -> str:
        founder = min(
            (self.micros[micro_id] for narrative_id in group for micro_id in self.narratives[narrative_id].members),
            key=lambda micro: micro.row,
        )
        founder.founded += 1
        return name_after(founder.founder_id, "e", founder.founded)


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


def _words(post: ScoredPost) -> tuple[str, ...]:
    return tuple(f"{indicator.kind}: {indicator.words}" for indicator in post.indicators)
