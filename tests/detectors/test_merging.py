import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detectors.entries import Origin, ScoredPost
from detectors.merging import HELD_FOR_UNKNOWN, Merging


def post(partition, offset, at_s):
    return ScoredPost(
        origin=Origin("posts", partition, offset),
        post_id=f"{partition}-{offset}",
        platform="x",
        created_at_s=at_s,
        author_id="a",
        text="t",
        ingested_at_s=0.0,
        speed=0.0,
    )


def arrive(merging, partition, *times_s):
    for offset, at_s in enumerate(times_s):
        merging.arrive(f"posts/{partition}", post(partition, offset, at_s), 2)


def times(posts):
    return [one.created_at_s for one in posts]


def test_a_post_waits_until_every_partition_has_passed_its_time():
    merging = Merging()
    arrive(merging, 0, 1.0, 5.0, 9.0)
    assert times(merging.ready(2)) == []
    arrive(merging, 1, 2.0, 6.0)
    assert times(merging.ready(2)) == [1.0, 2.0, 5.0]


def test_a_partition_that_has_ended_holds_nothing_back():
    merging = Merging()
    arrive(merging, 0, 1.0, 5.0)
    merging.end("posts/1")
    assert times(merging.ready(2)) == [1.0]
    merging.end("posts/0")
    assert times(merging.ready(2)) == [5.0]


def test_a_partition_that_was_never_heard_of_holds_back_so_many_and_no_more():
    merging = Merging()
    arrive(merging, 0, *map(float, range(HELD_FOR_UNKNOWN - 1)))
    assert merging.ready(2) == []
    arrive(merging, 0, 1e6)
    assert len(merging.ready(2)) == HELD_FOR_UNKNOWN - 1


def test_after_all_have_ended_a_new_source_is_waited_for_again():
    merging = Merging()
    arrive(merging, 0, 1.0)
    arrive(merging, 1, 1.0)
    for partition in (0, 1):
        merging.end(f"posts/{partition}")
    assert merging.has_ended(2)
    assert len(merging.ready(2)) == 2
    arrive(merging, 0, 7.0)
    assert (merging.has_ended(2), times(merging.ready(2))) == (False, [])


def test_what_is_held_survives_a_round_trip_in_its_order():
    merging = Merging()
    arrive(merging, 0, 9.0, 3.0, 5.0, 1.0)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(merging), type=Merging)
    assert again.all() == merging.all()


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1e6)), max_size=60), st.randoms(use_true_random=False))
def test_partitions_in_any_interleaving_come_out_in_one_order_and_none_is_lost(rows, chance):
    lanes = {lane: sorted(at_s for one, at_s in rows if one == lane) for lane in range(3)}
    merging, places, out = Merging(), dict.fromkeys(lanes, 0), []
    while open_lanes := [lane for lane in lanes if places[lane] <= len(lanes[lane])]:
        lane = chance.choice(open_lanes)
        place = places[lane]
        places[lane] += 1
        if place == len(lanes[lane]):
            merging.end(f"posts/{lane}")
        else:
            merging.arrive(f"posts/{lane}", post(lane, place, lanes[lane][place]), 3)
        out += merging.ready(3)
    assert sorted(times(out)) == sorted(at_s for _, at_s in rows)
    assert [(one.created_at_s, one.post_id) for one in out] == sorted((one.created_at_s, one.post_id) for one in out)
    assert merging.held == []
