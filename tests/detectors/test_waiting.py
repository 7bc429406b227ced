from detectors import waiting
from detectors.waiting import Waiting


def reply(streams, post_id, parent_id, root_id=None, at_s=0, author=None):
    return streams.post(post_id, at_s, "cats", kind="reply", parent_id=parent_id, root_id=root_id, author=author)


def ids(posts):
    return [post.post_id for post in posts]


def test_those_who_waited_come_in_the_order_in_which_they_came_and_wait_no_more(streams):
    held = Waiting()
    for post_id in ("b", "a", "c"):
        held.put(reply(streams, post_id, "p", root_id="r"))
    assert ids(held.arrived("p")) == ["b", "a", "c"]
    assert held == Waiting()
    assert held.arrived("r") == []


def test_the_root_is_enough(streams):
    held = Waiting()
    held.put(reply(streams, "a", "p", root_id="r"))
    held.put(reply(streams, "b", "a"))
    assert ids(held.arrived("r")) == ["a"]
    assert ids(held.arrived("a")) == ["b"]


def test_those_whose_time_is_over_go_and_the_others_stay(streams):
    held = Waiting()
    held.put(reply(streams, "a", "p", at_s=100))
    held.put(reply(streams, "b", "p", at_s=200))
    assert ids(held.overdue(150.0)) == ["a"]
    assert ids(held.arrived("p")) == ["b"]


def test_there_is_room_for_so_many_and_the_first_makes_room(streams, monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITING", 2)
    held = Waiting()
    assert [ids(held.put(reply(streams, post_id, "p"))) for post_id in "abc"] == [[], [], ["a"]]
    assert ids(held.arrived("p")) == ["b", "c"]


def test_a_deleted_post_waits_no_more(streams):
    held = Waiting()
    held.put(reply(streams, "a", "p", author="me"))
    assert held.of_author("me") == ["a"]
    assert held.take("a").post_id == "a"
    assert held.take("a") is None
    assert held == Waiting()
