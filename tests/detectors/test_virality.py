import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.entries import Indicator, Origin, ScoredPost
from detectors.incitement import evidence
from detectors.policy import SourceParameters, ViralityParameters
from detectors.records import Stance
from detectors.virality import (
    AUTHORS_KEPT,
    MINUTE_AUTHORS_KEPT,
    MINUTES_KEPT,
    SPREAD_KEYS,
    TYPICAL_POSTS,
    WINSOR_POSTS,
    Mark,
    Population,
    Tally,
    assess,
    author_key,
    could_burst,
    counts,
    least_z,
    mark_of,
    merged_tally,
    timeline,
)

PARAMETERS = ViralityParameters()
SOURCES = SourceParameters(credible_domains=("news.example",))
START_S = 1_400_000_400.0
"""A multiple of ten minutes."""


def mark(at_s, author=0, *, cascade_posts=100, **changes):
    key = author_key(f"a-{author}")
    return Mark(at_s=START_S + at_s, author_key=key, platform="x", cascade_posts=cascade_posts, **changes)


def tally_of(marks):
    tally = Tally()
    for each in marks:
        tally.add(each)
    return tally


def spread_out(count, *, every_s, start_s=0.0, authors=10_000):
    return [mark(start_s + place * every_s, author=place % authors) for place in range(count)]


stances = st.sampled_from([None, (1000, 0, 0, 0, 0), (0, 800, 200, 0, 0), (100, 100, 100, 600, 100)])
marks = st.lists(
    st.builds(
        mark,
        st.floats(0, 4 * 3600),
        author=st.integers(0, 40),
        kind=st.sampled_from(["post", "reply", "reshare"]),
        late=st.booleans(),
        own_words=st.booleans(),
        stance=stances,
        inciting=st.booleans(),
        evidence=st.integers(-300, 2000),
        hedged=st.booleans(),
        credible=st.booleans(),
        satirical=st.booleans(),
        calls=st.booleans(),
        lang=st.sampled_from([None, "en", "de"]),
        community=st.sampled_from([None, "c1", "c2"]),
    ),
    min_size=1,
    max_size=80,
)
END_S = START_S + 4 * 3600


def everything_read(tally, now_s=END_S):
    growth = assess(tally, now_s, Population(), PARAMETERS)
    return (
        growth,
        counts(tally, now_s, PARAMETERS),
        tally.stance_shares(),
        tally.spread(),
        tally.window(now_s, PARAMETERS.window_s),
        timeline(tally, growth, PARAMETERS.window_s),
        (tally.stance, tally.own_words, tally.doubting, tally.inciting, tally.calls, tally.evidence),
        (tally.asking, tally.hedging, tally.credible, tally.satirical, tally.asked(now_s, 3600.0)),
        tally.stance_trend(now_s, PARAMETERS.window_s),
        (tally.first_at_s, tally.last_at_s),
    )


@given(marks, st.randoms(use_true_random=False))
def test_the_order_in_which_posts_are_added_does_not_show(each, random):
    shuffled = list(each)
    random.shuffle(shuffled)
    assert everything_read(tally_of(shuffled)) == everything_read(tally_of(each))


@given(marks, st.data())
def test_merging_tallies_is_adding_all_posts_to_one(each, data):
    parts = [[], [], []]
    for one in each:
        parts[data.draw(st.integers(0, 2))].append(one)
    first, second, third = map(tally_of, parts)
    whole = everything_read(tally_of(each))
    assert everything_read(first.merge(second).merge(third)) == whole
    assert everything_read(third.merge(first.merge(second))) == whole


def test_many_tallies_merge_in_one_go_as_they_do_one_after_the_other():
    parts = [tally_of(mark(at_s, author) for author in range(40)) for at_s in (0, 90_000, 7_000, 30, 86_400, 95_000)]
    parts.insert(2, Tally())
    one_by_one = Tally()
    for part in parts:
        one_by_one = one_by_one.merge(part)
    assert msgspec.msgpack.encode(merged_tally(parts)) == msgspec.msgpack.encode(one_by_one)
    assert merged_tally([]) == Tally()


def test_a_merge_leaves_what_it_merged_untouched():
    first, second = tally_of(spread_out(20, every_s=5)), tally_of(spread_out(20, every_s=7, start_s=60))
    before = msgspec.msgpack.encode([first, second])
    merged = first.merge(second)
    merged.add(mark(120, author=99))
    assert msgspec.msgpack.encode([first, second]) == before


@given(marks, st.integers(-1000, 1000))
def test_a_shift_of_all_times_shifts_nothing(each, tens):
    shift_s = 600.0 * tens
    shifted = tally_of(msgspec.structs.replace(one, at_s=one.at_s + shift_s) for one in each)
    growth = assess(shifted, END_S + shift_s, Population(), PARAMETERS)
    assert growth == assess(tally_of(each), END_S, Population(), PARAMETERS)
    assert counts(shifted, END_S + shift_s, PARAMETERS) == counts(tally_of(each), END_S, PARAMETERS)


@given(marks, st.lists(st.floats(0, 599), min_size=1, max_size=40))
def test_more_posts_in_the_window_never_lower_the_burst(each, ages_s):
    tally = tally_of(each)
    tally.add(mark(0))
    growth = assess(tally, END_S, Population(), PARAMETERS)
    for author, age_s in enumerate(ages_s):
        tally.add(mark(4 * 3600 - age_s, author=author))
        after = assess(tally, END_S, Population(), PARAMETERS)
        assert after.burst_z >= growth.burst_z
        assert after.expected == growth.expected
        assert growth.state != "bursting" or after.state == "bursting"
        growth = after


@given(marks, st.floats(0, 7200))
def test_whatever_bursts_has_met_the_floors(each, later_s):
    tally, now_s = tally_of(each), END_S + later_s
    growth, counted = assess(tally, now_s, Population(), PARAMETERS), counts(tally, now_s, PARAMETERS)
    if growth.state == "bursting":
        assert could_burst(tally, now_s, PARAMETERS)
        assert counted.window_posts >= PARAMETERS.least_posts
        assert counted.authors >= PARAMETERS.least_authors
        assert counted.window_posts >= PARAMETERS.least_ratio * growth.expected - 0.01


@given(marks, marks)
def test_a_tally_that_was_stored_goes_on_as_if_it_had_not_been(before, after):
    kept = tally_of(before)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Tally)
    for one in after:
        assert stored.add(one) == kept.add(one)
    assert msgspec.msgpack.encode(stored) == msgspec.msgpack.encode(kept)


@given(marks, st.data())
def test_removing_a_post_takes_back_what_it_added(each, data):
    gone = data.draw(st.sampled_from(each))
    tally = tally_of(each)
    tally.add(gone)
    tally.remove(gone)
    assert everything_read(tally) == everything_read(tally_of(each))


def test_an_erased_author_is_in_no_sketch_any_more():
    tally = tally_of(spread_out(20, every_s=5))
    gone = author_key("a-3")
    assert gone in tally.authors
    tally.forget(gone)
    assert gone not in tally.authors
    assert all(gone not in keys for keys in tally.minute_authors.values())


def test_late_posts_count_in_totals_and_not_in_rates():
    tally = tally_of(mark(place, author=place, late=True) for place in range(50))
    counted = counts(tally, START_S + 60, PARAMETERS)
    assert (counted.posts, counted.authors, counted.late) == (50, 50, 50)
    assert (counted.window_posts, counted.window_authors) == (0, 0)
    assert assess(tally, START_S + 60, Population(), PARAMETERS).state == "steady"
    assert timeline(tally, assess(tally, START_S, Population(), PARAMETERS), 600.0)[1] == ()


def test_a_handful_of_posts_is_insufficient_data():
    growth = assess(tally_of(spread_out(11, every_s=2)), START_S + 30, Population(), PARAMETERS)
    assert growth.state == "insufficient_data"


def test_one_account_posting_again_and_again_never_bursts():
    tally = tally_of(spread_out(200, every_s=1, authors=1))
    assert not could_burst(tally, START_S + 200, PARAMETERS)
    assert assess(tally, START_S + 200, Population(), PARAMETERS).state == "insufficient_data"


def test_many_who_talk_of_a_topic_in_their_own_words_do_not_burst():
    own_words = [mark(5.0 * place, author=place, cascade_posts=1) for place in range(40)]
    assert assess(tally_of(own_words), START_S + 200, Population(), PARAMETERS).state == "steady"


def test_so_many_in_their_own_words_that_it_cannot_be_a_topic_burst():
    own_words = [mark(place, author=place, cascade_posts=1) for place in range(PARAMETERS.least_worded_posts)]
    assert assess(tally_of(own_words), START_S + 200, Population(), PARAMETERS).state == "bursting"


def test_one_cascade_of_the_least_size_is_enough_to_burst():
    posts = PARAMETERS.least_cascade_posts
    cascade = [mark(5.0 * place, author=place, cascade_posts=place + 1) for place in range(posts)]
    assert assess(tally_of(cascade), START_S + 200, Population(), PARAMETERS).state == "bursting"
    assert assess(tally_of(cascade[:-1]), START_S + 200, Population(), PARAMETERS).state != "bursting"


def test_a_new_narrative_that_explodes_bursts_against_narratives_of_its_age():
    growth = assess(tally_of(spread_out(40, every_s=5)), START_S + 200, Population(), PARAMETERS)
    assert growth.state == "bursting"
    assert growth.basis == "narratives_of_this_age"
    assert growth.expected == TYPICAL_POSTS
    assert growth.velocity_per_s == pytest.approx(0.2, rel=0.01)
    assert growth.doubling_time_s == 140.0


def test_a_busy_narrative_is_compared_with_its_own_history():
    busy = spread_out(6 * 30, every_s=120)
    usual = assess(tally_of(busy), START_S + 6 * 3600 - 1, Population(), PARAMETERS)
    assert (usual.basis, usual.state) == ("own_history", "steady")
    assert usual.expected == pytest.approx(5.0, abs=0.3)
    burst = [*busy, *spread_out(35, every_s=10, start_s=6 * 3600 - 400)]
    growth = assess(tally_of(burst), START_S + 6 * 3600 - 1, Population(), PARAMETERS)
    assert growth.state == "bursting"
    assert growth.expected == usual.expected


def test_a_long_burst_does_not_become_the_baseline():
    busy = spread_out(6 * 30, every_s=120)
    burst = spread_out(1800, every_s=2, start_s=6 * 3600)
    growth = assess(tally_of([*busy, *burst]), START_S + 7 * 3600 - 1, Population(), PARAMETERS)
    assert growth.state == "bursting"
    assert growth.expected < 15


def test_a_wave_that_ebbs_is_falling_and_has_no_doubling_time_once_silent():
    tally = tally_of([*spread_out(60, every_s=10), mark(620, author=7)])
    assert assess(tally, START_S + 1199, Population(), PARAMETERS).state == "falling"
    silent = assess(tally, START_S + 1800, Population(), PARAMETERS)
    assert silent.state == "steady"
    assert silent.doubling_time_s is None
    assert silent.velocity_per_s == 0


def test_authors_are_exact_up_to_the_size_of_the_sketch_and_close_beyond():
    small = tally_of(mark(place % 60, author=place % (AUTHORS_KEPT - 1)) for place in range(1000))
    assert small.distinct_authors() == AUTHORS_KEPT - 1
    large = tally_of(mark(place % 600, author=place) for place in range(8000))
    assert large.distinct_authors() == pytest.approx(8000, rel=0.2)
    assert large.window_authors(START_S + 599, 600.0) == pytest.approx(8000, rel=0.25)


@given(st.integers(1, 9), st.integers(MINUTE_AUTHORS_KEPT, 400))
def test_never_more_authors_in_the_window_than_posts(minutes, posts):
    tally = tally_of(mark(place * minutes * 60 // posts, author=place) for place in range(posts))
    assert tally.window_authors(START_S + minutes * 60, 600.0) <= tally.window_posts(START_S + minutes * 60, 600.0)


def test_never_more_authors_than_posts():
    for posts in (255, 256, 300, 1000):
        tally = tally_of(mark(0, author=place) for place in range(posts))
        assert tally.distinct_authors() <= posts


def test_typical_is_learnt_and_bursts_do_not_become_typical():
    population = Population()
    assert population.typical(60.0) == TYPICAL_POSTS
    for narrative in range(200):
        for post in range(1, 4):
            population.add(START_S + narrative, 60.0, post)
    assert population.typical(60.0) == pytest.approx(3.0, abs=0.4)
    assert population.typical(7200.0) == TYPICAL_POSTS
    before = population.typical(60.0)
    for post in range(1, 100_000):
        population.add(START_S, 60.0, post)
    assert population.typical(60.0) - before < WINSOR_POSTS / 200
    for narrative in range(20_000):
        for post in range(1, 30):
            population.add(START_S + narrative, 60.0, post)
    assert population.typical(60.0) <= WINSOR_POSTS


def test_however_much_bursts_the_ratio_never_asks_for_more_than_the_floor_in_posts():
    assert WINSOR_POSTS * PARAMETERS.least_ratio <= PARAMETERS.least_posts


def test_dispersion_is_variance_over_mean_of_the_buckets():
    population = Population()
    for size in (1, 1, 1, 3) * 50:
        for post in range(1, size + 1):
            population.add(START_S, 60.0, post)
    assert population.dispersion(60.0) == pytest.approx(0.75 / 1.5)
    assert population.dispersion(7200.0) == 0.0


def test_a_population_is_bounded_however_long_the_stream():
    population = Population()
    for minute in range(5 * MINUTES_KEPT):
        population.add(START_S + 60 * minute, 30.0, 1)
    assert len(population.stream) <= 2 * MINUTES_KEPT + 1


def test_the_share_of_the_stream_is_between_nothing_and_all():
    tally, population = Tally(), Population()
    for place in range(100):
        population.add(START_S + place, 0.0, tally.add(mark(place)) if place % 4 == 0 else 1)
    assert population.share_of_stream(tally, START_S + 100, 600.0) == 0.25


def test_spread_beyond_its_keys_is_counted_as_other():
    tally = tally_of(mark(0, author=place, community=f"c{place}") for place in range(3 * SPREAD_KEYS))
    assert len(tally.communities) == SPREAD_KEYS + 1
    assert sum(tally.communities.values()) == 3 * SPREAD_KEYS
    assert tally.spread().communities["other"] == 2 * SPREAD_KEYS
    assert len(tally.spread().communities) == 10


def test_a_trend_sets_the_window_against_all_before_it():
    before = [mark(place, author=place, stance=(1000, 0, 0, 0, 0)) for place in range(30)]
    recent = [mark(3600 + place, author=place, stance=(0, 1000, 0, 0, 0)) for place in range(10)]
    trend = tally_of([*before, *recent]).stance_trend(START_S + 3610, 600.0)
    assert (trend.posts, trend.posts_before, trend.window_s) == (10, 30, 600)
    assert (trend.before, trend.recent) == (Stance(support=1.0), Stance(deny=1.0))


def test_there_is_no_trend_without_a_before_and_a_now():
    only_now = tally_of([mark(place, author=place, stance=(1000, 0, 0, 0, 0)) for place in range(30)])
    assert only_now.stance_trend(START_S + 30, 600.0) is None
    assert only_now.stance_trend(START_S + 3600, 600.0) is None


def test_questions_are_posts_of_ones_own_words_that_mostly_ask():
    asks = (0, 0, 600, 0, 400)
    tally = tally_of([mark(0, stance=asks), mark(1, stance=asks, own_words=False), mark(2, stance=(0, 600, 400, 0, 0))])
    assert (tally.asking, tally.doubting) == (1, 2)
    assert (tally.asked(START_S + 2, 3600.0), tally.asked(START_S + 7200, 3600.0)) == (1, 0)


def test_a_timeline_shows_every_post_on_time_and_coarsens_with_age():
    for every_s, width_s in ((10.0, 60), (300.0, 600), (3600.0, 3600)):
        tally = tally_of(spread_out(100, every_s=every_s))
        growth = assess(tally, tally.last_at_s, Population(), PARAMETERS)
        width, buckets = timeline(tally, growth, PARAMETERS.window_s)
        assert width == width_s
        assert sum(bucket.posts for bucket in buckets) == 100
        assert (buckets[-1].at - buckets[0].at).total_seconds() == width_s * (len(buckets) - 1)


def test_a_tally_stays_bounded_over_weeks_of_traffic():
    tally = Tally()
    for minute in range(20 * 24 * 60):
        tally.add(mark(60.0 * minute, author=minute, community=f"c{minute % 500}"))
    for place in range(60 * 60):
        tally.add(mark(20 * 86400 + place, author=place))
    assert len(msgspec.msgpack.encode(tally)) < 40_000


def scored(**changes):
    return ScoredPost(
        origin=Origin("posts", 0, 1),
        post_id="p1",
        platform="x",
        created_at_s=START_S,
        author_id="a-1",
        ingested_at_s=START_S,
        **{"text": "be there at noon", **changes},
    )


def test_a_mark_of_an_inciting_call_says_so():
    indicators = (Indicator("call_to_act", "be there"), Indicator("place", "mill square"), Indicator("time", "noon"))
    called = mark_of(scored(incitement=0.9, indicators=indicators), late=False, post_probability=0.5)
    assert (called.inciting, called.calls) == (True, True)
    partly = mark_of(scored(incitement=0.9, indicators=indicators[:2]), late=False, post_probability=0.5)
    assert (partly.inciting, partly.calls) == (True, False)
    harmless = mark_of(scored(incitement=0.1, indicators=indicators), late=False, post_probability=0.5)
    assert (harmless.inciting, harmless.calls) == (False, False)


def test_a_reshare_repeats_what_its_parent_says_in_no_words_of_its_own():
    parent = mark_of(scored(stance=Stance(deny=0.9, comment=0.1), incitement=0.9), late=False, post_probability=0.5)
    assert parent.own_words
    reshare = mark_of(scored(text="", kind="reshare"), late=False, post_probability=0.5, parent=parent)
    assert (reshare.stance, reshare.inciting, reshare.own_words) == ((0, 900, 0, 0, 100), True, False)
    assert reshare.evidence == parent.evidence == evidence(0.9)
    hedged = mark_of(scored(hedged=True, urls=("news.example",)), late=False, post_probability=0.5, sources=SOURCES)
    passed_on = mark_of(scored(kind="reshare", text=""), late=False, post_probability=0.5, parent=hedged)
    assert (passed_on.hedged, passed_on.credible, passed_on.satirical) == (True, True, False)
    orphan = mark_of(scored(text="", kind="reshare"), late=False, post_probability=0.5)
    assert (orphan.stance, orphan.inciting, orphan.evidence) == (None, False, 0)
    assert mark_of(scored(incitement=0.0, judged=False), late=False, post_probability=0.5).evidence == 0


def test_what_moves_the_whole_stream_moves_what_is_expected_and_is_no_burst():
    """A narrative of an hour-by-hour habit has three times as many posts; so has everything else, or nothing else."""

    def growth(times):
        tally, population = Tally(), Population()
        for minute in range(12 * 60):
            own, others = (3 * times, 30 * times) if minute >= 710 else (1, 10)
            if minute >= 710 and times == 1:
                own, others = 3, 10
            for place in range(own):
                in_ten = tally.add(mark(minute * 60 + place, author=minute * 9 + place))
                population.add(START_S + minute * 60 + place, minute * 60.0, in_ten)
            for place in range(others):
                population.add(START_S + minute * 60 + place, 0.0, 1)
        return assess(tally, START_S + 719 * 60 + 59, population, PARAMETERS)

    alone, with_all = growth(1), growth(3)
    assert alone.basis == with_all.basis == "own_history"
    assert alone.expected == pytest.approx(10, rel=0.2)
    assert with_all.expected == pytest.approx(40, rel=0.2)  # four times at most
    assert alone.burst_z > 0


def test_the_more_narratives_are_watched_the_rarer_a_burst_must_be():
    levels = [least_z(watched, PARAMETERS) for watched in (0, 1, 10, 10_000, 1_000_000)]
    assert levels == sorted(levels)
    assert levels[0] == PARAMETERS.burst_z < levels[-1]
    tally = tally_of(spread_out(30, every_s=10))
    lone = assess(tally, START_S + 300, Population(), PARAMETERS)
    assert lone.state == "bursting"
    strict = msgspec.structs.replace(PARAMETERS, chance_alarms=1e-300)
    assert assess(tally, START_S + 300, Population(), strict, watched=100).state != "bursting"
