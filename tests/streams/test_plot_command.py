"""`emberwatch plot`: a story and a run as pictures, from a replay's folder and from a journal."""

import gzip
import json

import pytest
from click.testing import CliRunner

from detectors.records import Forecast
from detectors.timelines import Moment, Timeline
from streams import cli, story_picture
from streams.errors import EmberwatchError

PNG = b"\x89PNG\r\n\x1a\n"


def size(file):
    content = file.read_bytes()
    assert content.startswith(PNG)
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def emberwatch(*arguments):
    return CliRunner().invoke(cli.emberwatch, [str(one) for one in arguments], catch_exceptions=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A replay of a post that is shared sixty times."""
    folder = tmp_path_factory.mktemp("plot")
    post = {"platform": "x", "text": "The clock tower has $topped at 5 % past noon"}
    rows = [
        {
            **post,
            "post_id": f"p{n}",
            "created_at": f"2026-06-05T12:{n // 4:02d}:{15 * (n % 4):02d}Z",
            "author_id": f"a{n}",
            **({"kind": "reshare", "parent_id": "p0", "root_id": "p0"} if n else {}),
        }
        for n in range(61)
    ]
    with gzip.open(folder / "posts.jsonl.gz", "wt") as lines:
        lines.write("\n".join(json.dumps(row) for row in rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBERWATCH_MODEL", "hash")
        done = emberwatch("replay", folder / "posts.jsonl.gz", "--out", folder / "out")
    assert done.exit_code == 0, done.output
    return folder / "out"


@pytest.fixture
def alert(out):
    return json.loads((out / "alerts.jsonl").read_text().splitlines()[0])


def test_an_alert_and_its_narrative_give_the_same_picture(out, alert, tmp_path):
    pictures = []
    for wanted in (alert["alert_id"], alert["narrative_id"]):
        file = tmp_path / f"{wanted}.png"
        done = emberwatch("plot", wanted, "--from", out, "--out", file)
        assert done.exit_code == 0, done.output
        assert "61 posts" in done.output
        pictures.append(file.read_bytes())
    assert pictures[0] == pictures[1]
    assert size(file)[0] == 1430


def test_all_alerts_of_a_run_are_one_picture(out, tmp_path):
    done = emberwatch("plot", "--from", out, "--out", tmp_path / "new" / "all.png")
    assert done.exit_code == 0, done.output
    assert "1 alerts" in done.output
    size(tmp_path / "new" / "all.png")


def test_a_journal_is_folded_again(out, alert, tmp_path):
    from detectors.codec import encode_entry
    from detectors.policy import Configuration
    from detectors.replay import Row, opening_entries, score_rows, source_end
    from streams.models import load_scorer
    from streams.settings import load_settings

    scorer = load_scorer(load_settings({"EMBERWATCH_MODEL": "hash"}))
    configuration = Configuration(embedding_space=scorer.space)
    with gzip.open(out.parent / "posts.jsonl.gz") as lines:
        rows = [Row(0, "posts", n, line) for n, line in enumerate(lines, start=1)]
    posts, _ = score_rows(rows, scorer, started_at_s=2e9, time=configuration.time)
    entries = [*opening_entries(configuration, [], scorer), *posts, source_end(0, 100)]
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(
        b"".join(b'{"shard":0,"offset":%d,"entry":%s}\n' % (n, encode_entry(one)) for n, one in enumerate(entries))
    )
    done = emberwatch("plot", alert["alert_id"], "--from", journal, "--out", tmp_path / "story.png")
    assert done.exit_code == 0, done.output
    assert alert["narrative_id"] in done.output
    size(tmp_path / "story.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a-nope", "--out", "x.png"), "a-nope: no such alert or published narrative"),
        (("--out", "x.svg"), "x.svg is not a name of a PNG file"),
    ],
)
def test_what_cannot_be_drawn_is_said(out, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    done = emberwatch("plot", *arguments, "--from", out)
    assert isinstance(done.exception, EmberwatchError)
    assert words in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_replay_is_told_apart(tmp_path):
    done = emberwatch("plot", "--from", tmp_path, "--out", tmp_path / "x.png")
    assert "is it the folder of a replay?" in str(done.exception)


def timeline(**more):
    given = {
        "narrative_id": "n-1", "alert_id": "a-1", "label": "a $label_ with_signs", "bucket_s": 60, "start_s": 1e9,
        "posts": (1, 9, 20, 30, 5, 1), "expected": (None, 0.2, 0.2, 0.3, 0.3, 0.3),
        "bursting": (False, True, True, False, True, False),
    }  # fmt: skip
    return Timeline(**{**given, **more})


def test_a_forecast_is_drawn_with_its_interval_and_none_is_no_error(tmp_path):
    moments = [
        Moment(
            at_s=1e9 + 70 * n, transition=name, severity=severity, posts=10 * n,
            forecast=Forecast(posts=50.0 * n, low=20.0 * n, high=400.0 * n) if n else None,
        )
        for n, (name, severity) in enumerate([("opened", "watch"), ("updated", "page"), ("peaked", "page")])
    ]  # fmt: skip
    story_picture.draw_story(timeline(moments=tuple(moments)), tmp_path / "with.png")
    story_picture.draw_story(timeline(moments=tuple(moments[:1])), tmp_path / "without.png")
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()
    assert size(tmp_path / "with.png") == size(tmp_path / "without.png")


def test_stragglers_do_not_squeeze_the_story(tmp_path):
    late = timeline(posts=(30, 30, 30, *[0] * 5000, 1), expected=(None,) * 5004, bursting=(False,) * 5004, moments=())
    assert story_picture._shown_until_s(late) == 1e9 + 180
    assert "1 posts came later, over 3.5 days" in story_picture._foot(late)


def test_runs_of_a_burst_are_found():
    assert story_picture._runs((True, True, False, True)) == [(0, 1), (3, 3)]
    assert story_picture._runs((False,)) == []


def test_words_are_for_what_changed_and_the_graver_has_the_room():
    names = ("opened watch", "updated watch", "updated notice", "updated page", "updated page", "peaked page")
    moments = [
        Moment(at_s=at_s, transition=name.split()[0], severity=name.split()[1], posts=1)
        for name, at_s in zip(names, (0.0, 1.0, 2.0, 3.0, 50.0, 90.0), strict=True)
    ]
    worded = story_picture._worded(moments, 10.0)
    assert [(one.at_s, row) for one, row in worded] == [
        (3.0, story_picture.WORD_ROWS[0]),
        (90.0, story_picture.WORD_ROWS[0]),
        (2.0, story_picture.WORD_ROWS[1]),
    ]
