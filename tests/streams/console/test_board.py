from datetime import timedelta

import msgspec
import pytest

from detectors.records import Feedback, IncitementShare, Review
from streams.console.board import CLOSED_ALERTS, STALLED_AFTER_S, Board


@pytest.fixture
def clock():
    return [1_000_000.0]


@pytest.fixture
def board(story, clock):
    return story.board(lambda: clock[0])


def test_open_alerts_are_grouped_by_event_and_the_most_severe_event_comes_first(board):
    groups = [[alert.alert_id for alert in group.alerts] for group in board.open_events()]
    assert groups == [["a-march"], ["a-water", "a-shops"], ["a-minor"], ["a-named"], ["a-suspect"], ["a-joke"]]


def test_closed_alerts_leave_the_board_for_the_list_of_closed_ones(board, story):
    assert [alert.alert_id for alert in board.closed_alerts(10)] == ["a-wrong", "a-old"]
    board.put_alert(story.alert("a-joke", revision=4, transition="cleared", changed_at=story.now))
    assert [alert.alert_id for alert in board.closed_alerts(1)] == ["a-joke"]
    assert "a-joke" not in {alert.alert_id for alert in board.open_alerts()}


def test_an_older_revision_never_replaces_a_newer_one(board, story):
    board.put_alert(story.alert("a-joke", revision=5, transition="cleared"))
    board.put_alert(story.alert("a-joke", revision=4, transition="opened"))
    assert board.alert("a-joke").transition == "cleared"


def test_a_repeated_step_of_a_history_is_shown_once(board, story):
    board.put_revision(story.alert(event_id="e-water"))
    assert [step.revision for step in board.revisions("a-water")] == [3, 2, 1]


def test_closed_alerts_are_bounded_and_open_ones_are_not(story):
    board = Board(lambda: 0.0)
    for number in range(2 * CLOSED_ALERTS):
        board.put_alert(story.alert(f"open-{number}"))
        board.put_alert(story.alert(f"closed-{number}", transition="cleared", changed_at=story.now + timedelta(number)))
    assert len(board.open_alerts()) == 2 * CLOSED_ALERTS
    closed = board.closed_alerts(10_000)
    assert len(closed) <= 2 * CLOSED_ALERTS - 1
    assert closed[0].alert_id == f"closed-{2 * CLOSED_ALERTS - 1}"


def test_a_quiet_board_is_told_from_a_dead_one(board, clock):
    assert board.pulse().state == "live"
    clock[0] += STALLED_AFTER_S + 1
    assert board.pulse().state == "stalled"
    board.put_journal_tail(5001, event_time_s=None, written_at_s=None)
    assert board.pulse().state == "live"
    board.lost("no broker answers")
    assert (board.pulse().state, board.pulse().fault) == ("lost", "no broker answers")


def test_a_journal_that_does_not_grow_is_stalled_however_often_it_is_looked_at(board, clock):
    for _ in range(10):
        clock[0] += STALLED_AFTER_S / 4
        board.put_journal_tail(5000, event_time_s=None, written_at_s=None)
    assert board.pulse().state == "stalled"


def test_a_console_started_after_the_workers_died_does_not_call_the_old_journal_live(story, clock):
    board = Board(lambda: clock[0])
    board.start_over()
    board.put_journal_tail(5000, event_time_s=None, written_at_s=clock[0] - 3600)
    board.caught_up()
    assert board.pulse().state == "stalled"
    assert board.pulse().last_entry_at_s == clock[0] - 3600


def test_a_journal_whose_source_has_ended_is_not_called_stalled(board, clock):
    clock[0] += STALLED_AFTER_S + 1
    board.put_journal_tail(5000, event_time_s=None, written_at_s=None, ended=True)
    assert board.pulse().state == "ended"
    board.put_journal_tail(5001, event_time_s=None, written_at_s=None)
    assert board.pulse().state == "live"


def test_an_empty_journal_reads_as_no_input_yet(clock):
    board = Board(lambda: clock[0])
    board.start_over()
    board.put_journal_tail(0, event_time_s=None, written_at_s=None)
    board.caught_up()
    assert board.pulse().state == "empty"


def test_a_word_waits_until_the_revision_that_carries_it(board, story):
    sent = Feedback(feedback_id="f", by="Ann", at=story.now, word="acknowledge", alert_id="a-water")
    board.note_sent(sent)
    board.put_alert(story.alert(event_id="e-water", revision=4, transition="updated"))
    assert board.sent("a-water").feedback == sent
    review = Review(state="acknowledged", by="Ann", at=story.now)
    board.put_alert(story.alert(event_id="e-water", revision=5, transition="updated", review=review))
    assert board.sent("a-water") is None


def test_a_tombstone_removes_a_narrative(board):
    board.forget_narrative("n-water")
    assert board.narrative("n-water") is None


def test_reading_again_forgets_what_was_read_before(board):
    board.start_over()
    assert board.open_alerts() == []
    assert board.pulse().state == "catching_up"


def test_the_pulse_says_what_languages_nobody_judged_while_nothing_alerts(story, clock):
    board = Board(lambda: clock[0])
    assert board.pulse().unjudged_narratives_ratio is None
    told = msgspec.structs.replace(story.narrative(), incitement=IncitementShare(judged=10, unjudged=30))
    board.put_narrative(told)
    board.put_narrative(msgspec.structs.replace(told, narrative_id="n-dead", state="dead"))
    assert board.pulse().unjudged_narratives_ratio == 0.75


def test_the_pulse_says_what_no_trained_head_judged(story, clock):
    board = Board(lambda: clock[0])
    assert (board.pulse().unjudged_ratio, board.pulse().untrained_model) == (None, "")
    health = story.alert().data_health
    foreign = msgspec.structs.replace(health, unjudged_ratio=0.8, watermark_at=story.now + timedelta(minutes=1))
    board.put_alert(story.alert("a-joke", model="all-MiniLM-L6-v2@53aa5117+words256"))
    assert (board.pulse().unjudged_ratio, board.pulse().untrained_model) == (0.0, "")
    board.put_alert(story.alert("a-march", model="another@0a1b2c3d+words256", data_health=foreign))
    assert (board.pulse().unjudged_ratio, board.pulse().untrained_model) == (0.8, "another@0a1b2c3d+words256")
