from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.injection import (
    InjectionError,
    Mixture,
    Shape,
    Texts,
    arrivals,
    edited,
    expected_cluster,
    inject,
    mixture_of,
    neutral_texts,
)
from detectors.posts import clean, decode_post, normalise

START = datetime(2026, 6, 5, 12, tzinfo=UTC)

SHAPES = st.builds(
    Shape,
    rate_per_minute=st.floats(0.2, 20),
    duration_s=st.floats(60, 1800),
    branching_factor=st.floats(0, 0.9),
    memory=st.sampled_from(["power_law", "exponential"]),
    memory_s=st.floats(5, 600),
    mixture=st.tuples(*[st.floats(0.01, 1)] * 4).map(
        lambda parts: Mixture(
            **dict(zip(Mixture.__struct_fields__, (part / sum(parts) for part in parts), strict=True))
        )
    ),
    accounts=st.integers(1, 50),
)


def drawn(shape, seed=1, texts=None):
    return inject(
        shape,
        texts or neutral_texts(),
        np.random.default_rng(seed),
        name="drill",
        start=START,
        platform="x",
        lang="en",
    )


@pytest.mark.parametrize("memory", ["power_law", "exponential"])
@pytest.mark.parametrize("branching", [0.0, 0.5, 0.9])
def test_as_many_posts_come_as_rate_and_duration_say_whatever_the_branching(memory, branching):
    shape = Shape(rate_per_minute=5.0, duration_s=1200.0, branching_factor=branching, memory=memory, memory_s=120.0)
    shape = msgspec.structs.replace(shape, large_accounts=2, large_reactions=4.0)
    sizes = [len(arrivals(shape, np.random.default_rng(seed))) for seed in range(200)]
    assert np.mean(sizes) == pytest.approx(100.0, abs=4 * np.std(sizes) / np.sqrt(len(sizes)))


def test_the_branching_factor_is_recovered_where_every_reaction_has_come():
    shape = Shape(rate_per_minute=10.0, duration_s=36000.0, branching_factor=0.7, memory="exponential", memory_s=30.0)
    when = arrivals(shape, np.random.default_rng(5))
    caused = sum(one.parent is not None for one in when)
    assert caused / len(when) == pytest.approx(0.7, abs=0.02)


def test_the_expected_cluster_is_that_of_theory():
    # Exponential memory with branching factor n: C(t) = 1 + n / (1 - n) * (1 - exp(-(1 - n) t / memory)).
    shape = Shape(duration_s=900.0, branching_factor=0.8, memory="exponential", memory_s=60.0)
    times_s = np.linspace(0.0, 900.0, 1001)
    theory = 1.0 + 0.8 / 0.2 * (1.0 - np.exp(-0.2 * times_s / 60.0))
    assert np.allclose(expected_cluster(shape), theory, rtol=0.01)


def test_delays_of_the_power_law_have_its_median():
    # Half of the reactions have come when (t / s0) ** -0.242 = 0.5 * 1.242.
    shape = Shape(rate_per_minute=30.0, duration_s=5e6, branching_factor=0.5, memory_s=10.0, most_posts=10**8)
    shape = msgspec.structs.replace(shape, rate_per_minute=0.2)
    when = arrivals(shape, np.random.default_rng(2))
    delays_s = [one.at_s - when[one.parent].at_s for one in when if one.parent is not None]
    median_s = 10.0 * (0.5 * 1.242) ** (-1 / 0.242)
    assert np.mean(np.array(delays_s) < median_s) == pytest.approx(0.5, abs=0.03)


@settings(max_examples=40)
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_what_is_drawn_is_a_cascade_in_order_of_time(shape, seed):
    cascade = drawn(shape, seed)
    posts = {one.post.post_id: one.post for one in cascade}
    assert len(posts) == len(cascade)
    times = [one.post.created_at for one in cascade]
    assert times == sorted(times)
    assert all(START <= at <= START + timedelta(seconds=shape.duration_s) for at in times)
    assert len({one.post.author_id for one in cascade}) == min(len(cascade), shape.accounts)
    for post, gold in cascade:
        assert decode_post(msgspec.json.encode(post)) == post
        if gold["cause"] is not None:
            assert posts[gold["cause"]].created_at <= post.created_at
        if gold["form"] in {"reshare", "question"}:
            parent = posts[post.parent_id]
            assert parent.kind == "post"
            assert parent.created_at <= post.created_at
            assert post.root_id == (parent.root_id or parent.post_id)
        else:
            assert (post.kind, post.parent_id, post.root_id) == ("post", None, None)
        if gold["form"] == "reshare":
            assert clean(post.text) == clean(posts[post.parent_id].text)


def test_the_mixture_is_that_of_the_shape():
    mixture = Mixture(reshares=0.4, copies=0.3, own_words=0.2, questions=0.1)
    forms = Counter(one.gold["form"] for one in drawn(Shape(rate_per_minute=100.0, mixture=mixture)))
    shares = {form: posts / forms.total() for form, posts in forms.items()}
    assert shares == pytest.approx({"reshare": 0.4, "copy": 0.3, "own_words": 0.2, "question": 0.1}, abs=0.03)


def test_shares_that_are_not_given_divide_what_is_left():
    assert msgspec.structs.astuple(mixture_of({})) == pytest.approx(msgspec.structs.astuple(Mixture()))
    assert msgspec.structs.astuple(mixture_of({"reshares": 0.4})) == pytest.approx((0.4, 0.2, 0.3, 0.1))
    with pytest.raises(InjectionError, match=r"add up to 1\.2"):
        mixture_of({"reshares": 0.9, "copies": 0.3})


def test_the_same_seed_gives_the_same_posts_and_another_seed_others():
    shape = Shape(rate_per_minute=3.0, large_accounts=1)
    assert drawn(shape, 4) == drawn(shape, 4)
    assert drawn(shape, 4) != drawn(shape, 5)


def test_large_accounts_post_first_and_to_many():
    shape = Shape(
        rate_per_minute=6.0, large_accounts=3, large_audience=200_000, audience=100, branching_factor=0.2, accounts=1000
    )
    cascade = drawn(shape)
    followers = sorted((one.post.followers for one in cascade), reverse=True)
    large = [place for place, one in enumerate(cascade) if one.post.followers in followers[:3]]
    assert max(large) < 20
    shared = Counter(one.post.parent_id for one in cascade if one.post.kind == "reshare").most_common(3)
    assert {post_id for post_id, _ in shared} <= {cascade[place].post.post_id for place in large} | {
        cascade[0].post.post_id
    }


def test_each_wording_is_said_once_before_one_is_said_again():
    texts = Texts(variants=tuple(f"wording number {n} of the story" for n in range(20)))
    mixture = Mixture(reshares=0.0, copies=0.0, own_words=1.0, questions=0.0)
    said = [one.post.text for one in drawn(Shape(mixture=mixture), texts=texts)]
    assert said[0] == texts.variants[0]
    assert sorted(said[:20]) == sorted(texts.variants)
    assert not set(said[20:]) & set(texts.variants)


@given(st.integers(0, 2**32 - 1))
def test_an_edited_copy_stays_near_to_what_was_copied(seed):
    text = "The bridge over the river is closed until Monday"
    copy = edited(text, np.random.default_rng(seed))
    assert copy != text
    words, copied = (set(normalise(clean(one)).lower().split()) for one in (text, copy))
    assert len(words & copied) >= len(words) - 3


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Shape(rate_per_minute=-1.0), "rate_per_minute"),
        (Shape(mixture=Mixture(reshares=0.5)), r"add up to 0\.8"),
        (Shape(rate_per_minute=0.5, large_accounts=5), "large accounts alone bring"),
        (Shape(most_posts=20, rate_per_minute=60.0), "more than 20 posts"),
    ],
)
def test_figures_that_do_not_go_together_are_refused(shape, words):
    with pytest.raises(InjectionError, match=words):
        arrivals(shape, np.random.default_rng(1))
