import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import narratives
from detectors.codec import decode_state, encode_state
from detectors.entries import Origin, ScoredPost, Vector
from detectors.monitor import fold, new_state
from detectors.narratives import EventRows, MicroCluster, Narratives, Wordings, name_after
from detectors.policy import NarrativeParameters
from detectors.records import NarrativeChange
from detectors.strands import Search
from detectors.vectors import quantise, whole
from detectors.virality import Tally

MANY = {"narratives": {"micro_similarity": 0.7, "idle_after_s": 86_400}}
CAPPED = {"narratives": {"micro_similarity": 0.7, "grouped_micro_clusters": 3, "grouped_strands": 6}}

ALONE_IN_ITS_EVENT = {"narratives": {"micro_similarity": 0.7, "grouped_micro_clusters": 1, "event_similarity": 0.3}}


def nested(narratives):
    """Micro-clusters, narratives and rows hold each other, each exactly once."""
    members = [micro_id for one in narratives.narratives.values() for micro_id in one.members]
    assert sorted(members) == sorted(narratives.micros)
    for narrative_id, narrative in narratives.narratives.items():
        assert narrative.narrative_id == narrative_id
        assert all(narratives.micros[micro_id].narrative_id == narrative_id for micro_id in narrative.members)
        shared = [micro_id for micro_id, micro in narratives.micros.items() if micro.tally is narrative.tally]
        assert not shared or shared == narrative.members
    assert sorted(micro_id for one in narratives.strands.values() for micro_id in one.members) == sorted(
        narratives.micros
    )
    assert [strand.row for strand in narratives.strands.values()] == list(range(narratives.centroids.count))
    for strand_id, strand in narratives.strands.items():
        assert all(narratives.micros[micro_id].strand_id == strand_id for micro_id in strand.members)
    for narrative in narratives.narratives.values():
        first = narratives.micros[narrative.members[0]]
        assert narrative.event_id == narratives.strands[first.strand_id].event_id


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 3), st.sampled_from([MANY, CAPPED, ALONE_IN_ITS_EVENT]))
def test_micro_clusters_narratives_and_events_nest_after_every_entry(streams, seed, changes):
    state = new_state()
    for item in streams.journal(seed, 250, **changes):
        list(fold(state, [item]))
        nested(state.narratives)


def test_the_tally_of_a_narrative_is_the_merge_of_those_of_its_micro_clusters(streams):
    state = new_state()
    for item in streams.journal(2, 250, **MANY):
        list(fold(state, [item]))
        for narrative in state.narratives.narratives.values():
            merged = Tally()
            for micro_id in narrative.members:
                merged = merged.merge(state.narratives.micros[micro_id].tally)
            if not merged.posts:
                continue
            for name in ("posts", "reshares", "replies", "late", "inciting", "calls", "stance", "authors", "platforms"):
                assert getattr(narrative.tally, name) == getattr(merged, name), name
    assert any(len(narrative.members) > 1 for narrative in state.narratives.narratives.values())


def test_a_tally_that_is_shared_is_shared_again_after_a_restore(streams):
    _, state = streams.fold([item for _, item in streams.journal(2, 250, **MANY)])
    snapshot = encode_state(state)
    restored = decode_state(snapshot.manifest, snapshot.chunks).narratives

    def sharing(live):
        return [one for one in live.narratives.values() if one.tally is live.micros[one.members[0]].tally]

    ids = [one.narrative_id for one in sharing(state.narratives)]
    assert ids
    assert ids == [one.narrative_id for one in sharing(restored)]
    assert len(ids) < len(restored.narratives)


def test_every_narrative_whose_posts_changed_is_told_once_in_order_of_creation(streams, monkeypatch):
    state, before = new_state(), {}
    told = Narratives.changed
    monkeypatch.setattr(Narratives, "changed", lambda _self, _others: [])  # the fold itself does not ask
    for place, item in enumerate(streams.journal(2, 250, **MANY)):
        list(fold(state, [item]))
        if place % 7 == 0:
            now = {one: narrative.tally.posts for one, narrative in state.narratives.narratives.items()}
            names = [narrative.narrative_id for narrative in told(state.narratives, [])]
            assert names == [one for one in now if one in names]
            assert {one for one, posts in now.items() if posts != before.get(one)} <= set(names)
            assert told(state.narratives, []) == []
            before = now
    assert before


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 9), st.sampled_from([MANY, CAPPED, ALONE_IN_ITS_EVENT]))
def test_what_cannot_have_changed_need_not_be_looked_at_again(streams, seed, changes):
    """Neither events of strands that are as they were, nor wordings of which none was silent for so long."""
    items = list(streams.journal(seed, 250, **changes))
    outputs, state = [], new_state()
    always, grouping_all = [], new_state()
    for item in items:
        outputs += fold(state, [item])
        grouping_all.narratives._events_of, grouping_all.narratives._silent_since_s = None, float("-inf")
        always += fold(grouping_all, [item])
    assert outputs == always
    assert encode_state(state) == encode_state(grouping_all)


def test_no_name_is_given_twice_and_what_is_gone_does_not_come_back(streams):
    ended = set()
    for changes in (MANY, CAPPED):
        state, ended, born = new_state(), set(), []
        for output in fold(state, streams.journal(3, 300, **changes)):
            if isinstance(output, NarrativeChange):
                assert output.narrative_id not in ended
                if output.change in {"merge", "death"}:
                    ended.add(output.narrative_id)
                if output.change == "birth":
                    born.append(output.narrative_id)
        assert len(born) == len(set(born))
        assert not ended & set(state.narratives.narratives)


def test_grouping_again_when_nothing_changed_changes_nothing(streams):
    state = new_state()
    list(fold(state, streams.journal(2, 250, **MANY)[:-4]))
    parameters = state.configuration.narratives
    now_s = state.core.time.greatest_at_s
    state.narratives.group(now_s, parameters, nothing_more=True)
    before = {
        narrative_id: (narrative.members, narrative.event_id)
        for narrative_id, narrative in state.narratives.narratives.items()
    }
    assert state.narratives.group(now_s, parameters, nothing_more=True) == []
    assert before == {
        narrative_id: (narrative.members, narrative.event_id)
        for narrative_id, narrative in state.narratives.narratives.items()
    }


def test_little_that_is_new_among_much_waits_longer_to_be_grouped_and_much_does_not(streams):
    """A thin stream would be grouped at every post else, which costs as much for one new wording as for many."""
    parameters = NarrativeParameters(regroup_after_s=120.0)
    live = Narratives()
    live.micros = dict.fromkeys(range(640))  # it only counts them
    live.grouped_at_s = now_s = 1000.0
    assert not live.is_due(now_s + 1e9, parameters)  # nothing is new

    def waits_s(new):
        live.new_since_grouping = new
        return next(pause_s for pause_s in range(0, 5000, 10) if live.is_due(now_s + pause_s, parameters))

    assert [waits_s(new) for new in (1, 2, 5, 10, 31)] == [1200, 600, 240, 120, 120]
    assert waits_s(640 // narratives.REGROUPED_SHARE) == 0


def test_live_micro_clusters_are_bounded_and_those_idle_longest_go_first(streams):
    narratives = {"micro_similarity": 1.0, "live_micro_clusters": 20, "regroup_changes": 5}
    entries = [streams.configured(source_partitions=1, narratives=narratives)]
    words = ["cats", "rain", "football", "supper", "trains", "music", "exams", "coffee"]
    entries += [
        streams.post(f"p{i}", streams.start_s + i, f"{words[i % 8]} {words[i // 8 % 8]} {i}", offset=i)
        for i in range(200)
    ]
    _, state = streams.fold(entries)
    assert len(state.narratives.micros) <= 25
    assert state.left_out()["micro_cluster_cap"] >= 170
    oldest = min(micro.tally.last_at_s for micro in state.narratives.micros.values())
    assert oldest >= streams.start_s + 170


def test_a_post_that_comes_again_after_it_was_forgotten_founds_under_another_name(streams):
    configured = streams.configured(source_partitions=1, narratives={"indexed_posts": 1, "micro_similarity": 0.9})
    entries = [
        configured,
        streams.post("p", streams.start_s, "reservoir poisoned ashford"),
        streams.post("q", streams.start_s, "wolves escaped sanctuary", offset=1),
        streams.post("p", streams.start_s, "bridge collapsed marlow", offset=2),
    ]
    outputs, state = streams.fold(entries)
    assert outputs[0].micro_cluster == name_after("p", "m")
    assert outputs[-1].micro_cluster == name_after("p", "m", 1)
    nested(state.narratives)


def test_exemplars_show_each_post_once_and_the_earliest_is_the_earliest(streams):
    _, state = streams.fold([streams.configured(source_partitions=1), *reversed(streams.burst(streams.start_s))])
    [narrative] = state.narratives.narratives.values()
    shown = state.narratives.exemplars(narrative)
    assert shown["earliest"].post_id == "p0"
    assert len({one.post_id for one in shown.values()}) == len(shown)


def test_the_wordings_that_are_compared_follow_from_those_that_live_alone(monkeypatch):
    monkeypatch.setattr(narratives, "WORDINGS_COMPARED", 2)
    rows = np.eye(3, dtype=np.float32)
    wordings = Wordings()
    for micro_id, row in zip("abc", rows, strict=True):
        wordings.put(micro_id, row)
    assert wordings.nearest(rows[0])[0] != "a"
    wordings.remove("c")
    assert wordings.nearest(rows[0])[0] == "a"


def test_a_narrative_with_a_wording_beyond_the_cap_of_one_event_is_left_alone_in_every_event():
    def micro(name, narrative_id, last_at_s):
        return MicroCluster(
            micro_id=name,
            founder_id=name,
            founded_at_s=0.0,
            strand_id="s",
            narrative_id=narrative_id,
            place=0,
            vector=Vector(space="", dense=b"", dense_scale=1.0, lexical=b"", lexical_scale=1.0),
            tally=Tally(last_at_s=last_at_s),
        )

    flood = [micro("new", "other", 9.0), micro("old", "apart", 1.0)]
    fire = [micro("here", "apart", 5.0)]
    kept = narratives._within_cap({"flood": flood, "fire": fire}, 1)
    assert [one.micro_id for one in kept["flood"]] == ["new"]
    assert kept["fire"] == []


SENTENCES_ALONE = NarrativeParameters(lexical_weight=0.0, event_fading=0.0)


def joined(live, name, kite=0.0, goat=0.0, other=0.0):
    """Let a post join that is so much about kites, goats and something else; its strand."""
    rest = max(0.0, 1.0 - kite * kite - goat * goat - other * other) ** 0.5
    vector = quantise(np.array([kite, goat, other, rest], np.float32), np.zeros(2, np.float32), "toy")
    post = ScoredPost(
        origin=Origin("posts", 0, live.placed),
        post_id=name,
        platform="x",
        created_at_s=float(live.placed),
        author_id=name,
        text=name,
        ingested_at_s=0.0,
        vector=vector,
    )
    search = Search(live.centroids, whole([vector], 0.0))
    micro_id = live.join(post, vector, search, 0, SENTENCES_ALONE)
    return live.strands[live.micros[micro_id].strand_id]


def kites_and_goats():
    """Two events, each of one strand of ten posts."""
    live = Narratives()
    for place in range(10):
        kites = joined(live, f"kite-{place}", kite=1.0)
        goats = joined(live, f"goat-{place}", goat=1.0)
    assert kites.event_id != goats.event_id
    return live, kites, goats


def test_a_new_strand_begins_in_the_event_that_all_posts_speak_for_not_in_that_of_one_near_strand():
    live, kites, goats = kites_and_goats()
    joined(live, "stray", other=1.0).event_id = kites.event_id
    live.weigh_again(SENTENCES_ALONE)
    new = joined(live, "new", goat=0.42, other=0.45)
    assert new.founder_id == "new"
    assert new.event_id == goats.event_id


def test_a_new_strand_that_is_near_nothing_is_an_event_of_its_own():
    live, kites, goats = kites_and_goats()
    assert joined(live, "new", kite=0.2, goat=0.2).event_id not in {kites.event_id, goats.event_id}


def test_a_strand_that_was_put_into_the_wrong_event_leaves_it_when_it_grows():
    live, kites, goats = kites_and_goats()
    strand = joined(live, "first", kite=0.3, goat=0.35)
    assert strand.event_id == goats.event_id
    assert joined(live, "second", kite=0.6) is strand
    assert strand.event_id == kites.event_id
    assert {live.narratives[live.micros[one].narrative_id].event_id for one in strand.members} == {kites.event_id}
    assert joined(live, "after", other=0.85).event_id == kites.event_id  # it is near that strand alone


def test_a_strand_that_fits_no_event_any_more_when_it_grows_is_one_of_its_own():
    live, kites, goats = kites_and_goats()
    strand = joined(live, "first", kite=0.3, goat=0.35)
    assert joined(live, "second") is strand
    assert strand.event_id not in {kites.event_id, goats.event_id}


def test_a_strand_alone_in_its_event_keeps_it_when_it_grows():
    live, _, _ = kites_and_goats()
    strand = joined(live, "first", kite=0.1, goat=0.1)
    before = strand.event_id
    assert joined(live, "second", goat=0.1) is strand
    assert strand.event_id == before


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_nearest_event_is_the_one_with_the_greatest_mean_of_nearest_strand_and_all_posts(seed):
    generator = np.random.default_rng(seed)
    events = [f"e-{one}" for one in generator.integers(0, 5, int(generator.integers(1, 600)))]
    similarities, sizes = generator.uniform(-1.0, 1.0, len(events)), generator.integers(1, 50, len(events))
    rows = EventRows()
    for event_id in events:
        rows.put(event_id)
    means = {}
    for event_id in dict.fromkeys(events):
        own = [row for row, one in enumerate(events) if one == event_id]
        of_all = sum(similarities[row] * sizes[row] for row in own) / sum(sizes[row] for row in own)
        means[event_id] = 0.5 * (max(similarities[row] for row in own) + of_all)
        assert rows.strands_of(own[0]) == len(own)
    event_id, similarity = rows.nearest(similarities, sizes)
    assert abs(similarity - means[event_id]) < 1e-9
    assert means[event_id] >= max(means.values()) - 1e-9
