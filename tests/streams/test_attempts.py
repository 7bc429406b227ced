import json
import subprocess
import sys

from detectors.entries import Origin
from streams.attempts import Attempts

POISON = Origin("posts", 1, 7)
OTHER = Origin("posts", 1, 8)

_DYING = """
import os, sys
from pathlib import Path
from detectors.entries import Origin
from streams.attempts import Attempts
attempts = Attempts(Path(sys.argv[1]))
attempts.begin([Origin("posts", 1, 7), Origin("posts", 1, 8)][:int(sys.argv[2])])
os._exit(9)
"""


def _die(folder, origins):
    subprocess.run([sys.executable, "-c", _DYING, str(folder), str(origins)], check=False, timeout=60)


def test_what_was_being_scored_when_a_process_died_is_counted_across_restarts(tmp_path):
    _die(tmp_path, 2)
    _die(tmp_path, 1)
    attempts = Attempts(tmp_path)
    assert attempts.deaths(POISON) == 2
    assert attempts.deaths(OTHER) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_scored_is_struck_out(tmp_path):
    _die(tmp_path, 2)
    attempts = Attempts(tmp_path)
    attempts.begin([OTHER])
    attempts.done([OTHER])
    assert attempts.deaths(OTHER) == 0
    assert attempts.deaths(POISON) == 1


def test_the_notes_of_a_living_neighbour_are_left_alone(tmp_path):
    neighbour = tmp_path / "1.json"
    neighbour.write_text(json.dumps({"in_hand": [["posts", 1, 7]], "deaths": []}))
    assert Attempts(tmp_path).deaths(POISON) == 0
    assert neighbour.exists()


def test_damaged_notes_do_not_stop_a_worker(tmp_path):
    (tmp_path / "999999999.json").write_text("{")
    assert Attempts(tmp_path).deaths(POISON) == 0
