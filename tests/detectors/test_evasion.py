"""Ways in which people hide words from filters, and what `normalise` leaves of them. Written for this project."""

import importlib.resources

import msgspec
import numpy as np
import pytest

from detectors.incitement import IncitementHead, IncitementWeights
from detectors.posts import clean, normalise

HIDDEN = {
    "look-alike letters": [
        ("kіll thеm аll", "kill them all"),
        ("burn the hоtеl dоwn tonight", "burn the hotel down tonight"),
        ("ѕhооt thе judgе", "shoot the judge"),
        ("ΚΙLL every traitor", "KILL every traitor"),
    ],
    "styled letters": [
        ("𝗸𝗶𝗹𝗹 them all", "kill them all"),
        ("𝓫𝓾𝓻𝓷 the hotel down", "burn the hotel down"),
        ("ｓｈｏｏｔ the judge", "shoot the judge"),
        ("ⓑⓤⓡⓝ it down", "burn it down"),
    ],
    "digits for letters": [
        ("k1ll them all", "kill them all"),
        ("sh00t the judge", "shoot the judge"),
        ("a77ack the camp", "attack the camp"),
    ],
    "invisible characters": [
        ("ki\u200bll them all", "kill them all"),
        ("bu\u00adrn the ho\u2060tel down", "burn the hotel down"),
        ("s\u200dh\u200co\ufeffot the judge", "shoot the judge"),
        ("\u202ekill\u202c them all", "kill them all"),
    ],
    "letters set apart": [
        ("k i l l them all", "kill them all"),
        ("k.i.l.l them all", "kill them all"),
        ("b-u-r-n the hotel down", "burn the hotel down"),
        ("s*h*o*o*t the judge", "shoot the judge"),
    ],
    "entities": [
        ("&#107;ill them all", "kill them all"),
        ("burn &amp; smash the shop", "burn & smash the shop"),
        ("&quot;peace&quot; is over", '"peace" is over'),
    ],
    "pictures for words": [
        ("bring a 🔪 to the station at nine", "bring a knife to the station at nine"),
        ("put a 💣 under his car", "put a bomb under his car"),
        ("bring your 🔫 tonight", "bring your gun tonight"),
    ],
}

LEFT_ALONE = [
    "U.S.A. and U.K. agree",
    "a b c d e f",
    "I see 4 a.m. trains to La7",
    "Полиция просит не выходить",
    "plan B or C & D",
    "W.H.O. says so",
    "AT&T is down",
]


@pytest.mark.parametrize(("hidden", "plain"), [pair for pairs in HIDDEN.values() for pair in pairs])
def test_what_hides_a_word_is_undone(hidden, plain):
    assert normalise(clean(hidden)) == plain


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_like_hiding_is_left_alone(text):
    assert normalise(text) == text


@pytest.mark.parametrize("way", [way for way in HIDDEN if way != "entities"])
def test_a_call_scores_higher_once_its_words_are_read(way):
    content = importlib.resources.files("detectors").joinpath("weights/incitement_wording.json").read_bytes()
    head = IncitementHead(msgspec.json.decode(content, type=IncitementWeights), "any")
    before = [hidden for hidden, _ in HIDDEN[way]]
    scores = head.probabilities(
        before + [normalise(text) for text in before], np.zeros((2 * len(before), 0), np.float32)
    )
    hidden, plain = scores[: len(before)], scores[len(before) :]
    assert (plain >= hidden).all()
    assert plain.mean() > hidden.mean()
