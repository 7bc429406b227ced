import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import coordination
from detectors.codec import decode_state, encode_record, encode_state
from detectors.coordination import MOST_PARTNERS, MOST_SHARERS, Coordination, poisson_tail, things_of, wilson
from detectors.policy import CoordinationParameters
from detectors.records import Alert

POLICY = CoordinationParameters()
HORIZON_S = 48 * 3600.0
DAY_S = 86400.0


def accounts_of(draw, count):
    return [draw.getrandbits(64) for _ in range(count)]


def bursts(draw, accounts, *, things, sharers, pace_s=300.0, uneven=False):
    """Popular things, each shared by many at its own time; some people are quicker than others, if `uneven`."""
    quickness = {account: draw.lognormvariate(0, 1) if uneven else 1.0 for account in accounts}
    return [
        (start_s + draw.expovariate(1 / pace_s) * quickness[account], account, draw_thing)
        for draw_thing, start_s in [(draw.getrandbits(63), draw.uniform(0, DAY_S)) for _ in range(things)]
        for account in draw.sample(accounts, sharers)
    ]


def waves(draw, ring, *, waves, within_s=10.0):
    """The same few, with things of their own, within seconds."""
    return [
        (start_s + draw.uniform(0, within_s), account, thing)
        for thing, start_s in [(draw.getrandbits(63), draw.uniform(0, DAY_S)) for _ in range(waves)]
        for account in ring
    ]


def shared(events):
    whole = Coordination()
    for at_s, account, thing in sorted(events):
        whole.share(account, thing, at_s, POLICY, HORIZON_S)
    return whole


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("things", "sharers", "pace_s", "uneven"),
    [(1, 2000, 300.0, False), (20, 500, 300.0, False), (20, 500, 60.0, False), (20, 500, 300.0, True)],
)
def test_fans_who_share_what_everybody_shares_do_not_act_alike(seed, things, sharers, pace_s, uneven):
    draw = random.Random(seed)
    fans = accounts_of(draw, 2000)
    whole = shared(bursts(draw, fans, things=things, sharers=sharers, pace_s=pace_s, uneven=uneven))
    assert whole.assess(sorted(fans)[:256], len(fans), POLICY) is None


@pytest.mark.parametrize("seed", range(3))
def test_whoever_acted_alike_is_looked_at_also_after_a_restore(seed):
    """Only accounts with a hit are looked at: the same ones whether they were noted or read from the accounts."""
    draw = random.Random(seed)
    ring, fans = accounts_of(draw, 10), accounts_of(draw, 200)
    whole = shared([*waves(draw, ring, waves=6), *bursts(draw, fans, things=10, sharers=80)])
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=Coordination)
    assert whole._hitting == restored._hitting == {key for key, one in whole.accounts.items() if one.total_hits()}
    keys = sorted([*ring, *fans[:20]])
    assert whole.assess(keys, len(keys), POLICY) == restored.assess(keys, len(keys), POLICY) is not None


def test_chance_is_what_the_null_model_says():
    """Fans of twenty links in a day: coincidences with partners are about as many as expected, not three times."""
    draw = random.Random(1)
    fans = accounts_of(draw, 2000)
    whole = shared(bursts(draw, fans, things=20, sharers=500))
    hits = sum(account.total_hits() for account in whole.accounts.values())
    expected = sum(account.total_expected() for account in whole.accounts.values())
    assert hits > 300
    assert 0.7 < hits / expected < 1.3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("size", "times"), [(6, 6), (10, 6), (30, 6)])
def test_a_ring_that_shares_within_seconds_again_and_again_acts_alike_even_among_fans(seed, size, times):
    draw = random.Random(seed)
    fans, ring = accounts_of(draw, 2000), accounts_of(draw, size)
    whole = shared(bursts(draw, fans, things=10, sharers=500) + waves(draw, ring, waves=times))
    alike = whole.assess(sorted([*ring, *fans[:40]]), 40 + size, POLICY)
    assert alike.accounts >= 0.7 * size
    assert alike.low < size / (40 + size) < alike.high + 0.1
    assert alike.times >= 3 > alike.by_chance
    assert 40 < alike.effective_accounts < 40 + size
    assert whole.assess(sorted(fans)[:256], 2000, POLICY) is None


def test_a_ring_that_takes_minutes_is_no_ring():
    draw = random.Random(3)
    ring = accounts_of(draw, 10)
    whole = shared(waves(draw, ring, waves=6, within_s=3600.0))
    assert whole.assess(ring, 10, POLICY) is None


def test_two_who_act_alike_are_not_spoken_of():
    draw = random.Random(4)
    pair = accounts_of(draw, 2)
    assert shared(waves(draw, pair, waves=20)).assess(pair, 2, POLICY) is None


def test_it_fades_with_the_horizon():
    draw = random.Random(5)
    ring = accounts_of(draw, 10)
    whole = shared(waves(draw, ring, waves=8))
    assert whole.assess(ring, 10, POLICY)
    whole.expire(4 * DAY_S, POLICY, HORIZON_S)
    assert (whole.accounts, whole.items, whole.once) == ({}, {}, {})
    whole = shared(waves(draw, ring, waves=8))
    for place, account in enumerate(ring):  # each goes on alone: what lies two halves back no longer counts
        whole.share(account, place, 3 * DAY_S, POLICY, HORIZON_S)
        whole.share(account ^ 1, place, 3 * DAY_S, POLICY, HORIZON_S)
    assert whole.assess(ring, 10, POLICY) is None


def test_an_erased_account_is_nowhere():
    draw = random.Random(6)
    ring = accounts_of(draw, 8)
    whole = shared(waves(draw, ring, waves=6))
    gone = ring[3]
    whole.share(gone, 99, DAY_S, POLICY, HORIZON_S)
    whole.forget(gone)
    assert gone not in whole.accounts
    assert all(gone not in account.partners for account in whole.accounts.values())
    assert all(gone not in item.sharers and len(item.times) == len(item.sharers) for item in whole.items.values())
    assert all(first[0] != gone for first in whole.once.values())


def test_everything_is_bounded_and_evictions_are_counted(monkeypatch):
    monkeypatch.setattr(coordination, "MOST_ACCOUNTS", 50)
    monkeypatch.setattr(coordination, "MOST_ITEMS", 20)
    monkeypatch.setattr(coordination, "MOST_ONCE", 30)
    draw = random.Random(7)
    whole = shared(bursts(draw, accounts_of(draw, 500), things=60, sharers=300))
    assert len(whole.accounts) <= 50
    assert len(whole.items) <= 20
    assert len(whole.once) <= 30
    assert whole.evicted > 0
    assert all(len(account.partners) <= MOST_PARTNERS for account in whole.accounts.values())
    assert all(len(item.sharers) == len(item.times) <= MOST_SHARERS for item in whole.items.values())


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 12), st.integers(0, 4)), max_size=80))
def test_whatever_is_shared_sums_stay_sane(events):
    whole = Coordination()
    for at_s, account, thing in events:  # in any order: posts come late within the allowed lateness
        whole.share(account, thing, float(at_s), POLICY, HORIZON_S)
    for account in whole.accounts.values():
        assert account.total_hits() >= 0
        assert 0.0 <= account.total_expected() < math.inf
        assert all(times >= 1 for times in account.partners.values())
    for item in whole.items.values():
        assert sorted(item.sharers.values()) == item.times


@given(st.integers(0, 30), st.floats(0, 30))
def test_the_tail_of_chance_is_a_probability_that_falls_with_hits(hits, expected):
    assert 0.0 <= poisson_tail(hits + 1, expected) <= poisson_tail(hits, expected) <= 1.0


@given(st.integers(1, 300), st.data())
def test_the_interval_holds_the_share(of, data):
    hits = data.draw(st.integers(0, of))
    low, high = wilson(hits, of)
    assert 0.0 <= low <= hits / of + 1e-12
    assert hits / of - 1e-12 <= high <= 1.0


def test_a_post_shares_its_links_and_media_else_its_words_and_a_reshare_its_post(streams):
    def things(text, **fields):
        return list(things_of(streams.post("p", streams.start_s, text, **fields)))

    one = things("look at this https://www.x.example/a?utm=1")
    assert one == things("another text with it", urls=("http://x.example/a/#top",))
    assert things("look", media=("cafe",)) == things("other", media=("cafe",))
    assert things("reservoir poisoned in ashford today") == things("Reservoir poisoned in Ashford today")
    assert things("so sad") == []
    assert things("whatever is said here now", kind="reply", parent_id="q") == []
    assert things("", kind="reshare", parent_id="q") == things("RT it is so", kind="reshare", parent_id="q")


# Through the fold.


def campaign(streams, *, ring=12, times=5):
    """A ring that shares links within seconds on five occasions, the last of them the story that everyone tells."""
    posts = [
        streams.post(
            f"w{wave}-{member}", streams.start_s + 600 * wave + member, f"wave {wave} member {member} says so",
            urls=(f"https://news{wave}.example/a",), author=f"ring {member}",
        )
        for wave in range(times)
        for member in range(ring)
    ]  # fmt: skip
    start_s = streams.start_s + 600 * times
    story = streams.burst(start_s, posts=12, words="reservoir poisoned ashford chlorine taps boiling", name="s")
    rest = [
        streams.post(
            f"s-ring-{member}", start_s + 60 + member, "reservoir poisoned ashford chlorine taps boiling indeed",
            urls=("https://story.example/a",), author=f"ring {member}",
        )
        for member in range(ring)
    ]  # fmt: skip
    return [*posts, *story, *rest]


def fold(streams, posts, **changes):
    placed = [streams.configured(source_partitions=1, **changes)]
    placed += [_at_offset(post, offset) for offset, post in enumerate(posts)]
    return streams.fold(placed)


def _at_offset(post, offset):
    return msgspec.structs.replace(post, origin=msgspec.structs.replace(post.origin, offset=offset))


def test_an_alert_says_how_many_act_alike_and_never_who(streams):
    outputs, state = fold(streams, campaign(streams))
    alert = [one for one in outputs if isinstance(one, Alert) and "reservoir" in one.label][-1]
    assert alert.acting_alike.accounts >= 8
    assert alert.coordination == alert.acting_alike.share
    [words] = [reason.words for reason in alert.reasons if reason.signal == "acting_alike"]
    assert "act alike" in words
    assert "by chance" in words
    assert "bot" not in words
    record = encode_record(alert).decode()
    assert "ring " not in record
    assert not any(str(key) in record for key in state.coordination.accounts)


def test_acting_alike_makes_no_alert_and_takes_from_reach(streams):
    """The same posts, but for who wrote them: a crowd is alerted, a ring of four is no crowd."""
    ring_only = [post for post in campaign(streams, ring=4) if post.author_id.startswith("ring")]
    last = ring_only[-4:]
    again = [
        streams.post(f"again{place}", last[0].created_at_s + 5 + place, last[0].text, author=f"ring {place % 4}")
        for place in range(20)
    ]
    virality = {"least_posts": 4, "least_cascade_posts": 4, "least_worded_posts": 8, "least_authors": 4}
    outputs, state = fold(streams, [*ring_only, *again], virality=virality)
    assert state.coordination.assess(list(state.coordination.accounts), 4, state.configuration.coordination)
    assert not [one for one in outputs if isinstance(one, Alert) and "reservoir" in one.label]
    crowd = {"coordination": {"least_accounts": 100}}
    outputs, _ = fold(streams, [*ring_only, *again], virality=virality, **crowd)
    assert [one for one in outputs if isinstance(one, Alert) and "reservoir" in one.label]


def test_a_restart_changes_nothing(streams):
    posts = campaign(streams)
    whole, state = fold(streams, posts)
    _, half = fold(streams, posts[:50])
    snapshot = encode_state(half)
    resumed = decode_state(snapshot.manifest, snapshot.chunks)
    rest, resumed = streams.fold([_at_offset(post, offset) for offset, post in enumerate(posts)][50:], resumed)
    assert streams.encoded(rest) == streams.encoded(whole)[-len(rest) :]
    assert resumed.coordination == state.coordination


def test_erasure_reaches_it_through_the_journal(streams):
    posts = campaign(streams)
    _, state = fold(streams, posts)
    before = len(state.coordination.accounts)
    streams.fold([streams.deletion(0, author_id="ring 3")], state)
    assert len(state.coordination.accounts) == before - 1
