from detectors.post_index import IndexedPost, PostIndex
from detectors.virality import Mark


def indexed(at_s, author=1):
    return IndexedPost("m", Mark(at_s=at_s, author_key=author))


def test_past_the_cap_the_oldest_is_forgotten_and_counted():
    index = PostIndex()
    for number in range(5):
        index.put(f"p{number}", indexed(float(number)), 3)
    assert list(index.posts) == ["p2", "p3", "p4"]
    assert index.evicted == 2


def test_it_forgets_what_is_beyond_the_horizon_also_what_was_deleted():
    index = PostIndex(forgotten_posts={"x": 1.0, "y": 9.0}, forgotten_authors={7: 1.0})
    for number in range(5):
        index.put(f"p{number}", indexed(float(number)), 10)
    index.expire(3.0)
    assert list(index.posts) == ["p3", "p4"]
    assert index.forgotten_posts == {"y": 9.0}
    assert index.forgotten_authors == {}


def test_it_knows_the_posts_of_an_author():
    index = PostIndex()
    for number in range(4):
        index.put(f"p{number}", indexed(0.0, author=number % 2), 10)
    assert index.of_author(1) == ["p1", "p3"]
    assert index.take("p1").mark.author_key == 1
    assert index.take("p1") is index.get("p1") is index.get(None) is None
