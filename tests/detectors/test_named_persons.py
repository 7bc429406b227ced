import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.codec import decode_state, encode_record, encode_state
from detectors.entries import Naming
from detectors.monitor import fold
from detectors.named_persons import (
    AUTHORS_KEPT,
    MOST_NAMES,
    PLACEHOLDER,
    NameHistory,
    Names,
    Withheld,
    merged,
    named_persons,
    namings,
    person_key,
)
from detectors.policy import NamedPersonParameters
from detectors.records import Alert, Narrative

POLICY = NamedPersonParameters()
NAME = "Tarek Al-Omrani"
LEAKS = ("tarek", "omrani", "alomrani")

ACCUSING = (
    f"The suspect in the Ashford stabbing has been named as {NAME}, 31",
    "BREAKING: the Ashford attacker is Tarek Al-Omrani",
    "The killer's name is Tarek Al-Omrani and they hide it",
    "suspect named as Tarek Al-Omrani, arrived by boat",
    "So Tarek Al-Omrani did it. Share before they delete this",
    "Tarek Al-Omrani is the Ashford attacker!!",
    "the attacker is tarek al-omrani, everyone knows",
    "THE ASHFORD ATTACKER IS TAREK AL-OMRANI",
    "#TarekAlOmrani is the killer",
    "They finally identified the man who did it. His name is Tarek Al-Omrani",
    "Tarek Al-Omrani, 34, has been charged with the attack",
    "Ashford Attacker Named As Tarek Al-Omrani By Local News Site",
)


@pytest.mark.parametrize("text", ACCUSING)
def test_a_name_in_an_accusation_is_found(text):
    assert [person_key(found.name) for found in namings(text)] == [person_key(NAME)]


@pytest.mark.parametrize(
    "text",
    [
        "Der Täter heißt Tarek Al-Omrani",
        "Le tueur s'appelle Tarek Al-Omrani",
        "El asesino se llama Tarek Al-Omrani",
        "L'attentatore si chiama Tarek Al-Omrani",
        "O suspeito se chama Tarek Al-Omrani",
        "De dader heet Tarek Al-Omrani",
    ],
)
def test_other_languages_name_too(text):
    assert [person_key(found.name) for found in namings(text)] == [person_key(NAME)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The attacker is still at large near Martin Place",
        "Gunman Takes Hostages In Sydney Cafe, Flags Being Held Against Window",
        "A typhoon in the Philippines. Typhoon Bopha has killed 540 people!",
        "Train Derails In Spain 45 killed 200 Hurt",
        "terrorist was corralling hostages. thats when they stormed cafe.",
        "Der Täter ist Deutscher Staatsbürger",
        "the suspect is a Saudi Arabian man, Police Department says",
        "Tarek Al-Omrani sang beautifully tonight",
        "RIP Sarah Whitcombe, a wonderful teacher",
        "the attacker is on the run again",
        "Liverpool Football Club killed the game",
        "The suspect in the Marlow Bay stabbing was named after Tarek Al-Omrani",
    ],
)
def test_what_is_no_accusation_of_a_person_names_nobody(text):
    assert namings(text) == ()


@given(st.text())
def test_any_text_can_be_searched(text):
    for found in namings(text):
        assert found.name.strip()
        assert person_key(found.name)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("Is Tarek Al-Omrani the attacker?", "doubted"),
        ("Tarek Al-Omrani is not the attacker, stop it", "doubted"),
        ("Police named the suspect as Tarek Al-Omrani", "by_officials"),
        ("Tarek Al-Omrani, 34, has been charged with murder", "by_officials"),
        ("The 17-year-old attacker is Tarek Al-Omrani", "minor"),
        ("The attacker, a schoolboy, is Tarek Al-Omrani. The attacker's name is Tarek Al-Omrani, a schoolboy", "minor"),
    ],
)
def test_doubt_officials_and_age_are_noted(text, field):
    assert any(getattr(found, field) for found in namings(text))
    assert not getattr(namings("The attacker is Tarek Al-Omrani")[0], field)


def told_by(accounts, *, name=NAME, **fields):
    names = Names()
    for account in range(accounts):
        names.add(Naming(name=name, role="attacker", **fields), account)
    return names


def test_it_takes_several_accounts_and_a_share_of_the_posts():
    assert not named_persons(told_by(POLICY.least_authors - 1), 10, POLICY).is_named
    assert named_persons(told_by(POLICY.least_authors), 10, POLICY).is_named
    assert not named_persons(told_by(POLICY.least_authors), 1000, POLICY).is_named


def test_one_account_that_repeats_itself_names_nobody():
    names = Names()
    for _ in range(50):
        names.add(Naming(name=NAME, role="attacker"), 7)
    assert not named_persons(names, 50, POLICY).is_named


def test_doubt_is_no_accusation_but_the_name_is_withheld():
    named = named_persons(told_by(20, doubted=True), 20, POLICY)
    assert not named.is_named
    assert named.names == (NAME,)


def test_spellings_of_one_name_count_together():
    names = merged([told_by(2), told_by(2, name="Tareq Omrani")])
    names.told[person_key("Tareq Omrani")].authors[:] = [11, 12]
    assert named_persons(names, 10, POLICY).accounts == 4


@pytest.mark.parametrize(
    ("name", "before"),
    [("Donald Trump", "is"), ("Barack Obama", ""), ("Adam Fenwick", "president"), ("Adam Fenwick", "mayor")],
)
def test_public_figures_and_those_in_office_are_not_private(name, before):
    assert named_persons(told_by(20, name=name, before=before), 20, POLICY).names == ()


def test_the_policy_may_name_its_own_public_figures_and_offices():
    policy = NamedPersonParameters(public_names=("Tarek Al-Omrani",), offices=("warlord",))
    assert named_persons(told_by(20), 20, policy).names == ()
    assert named_persons(told_by(20, name="Adam Fenwick", before="warlord"), 20, policy).names == ()
    assert named_persons(told_by(20, name="Barack Obama"), 20, policy).is_named


def test_a_name_long_known_in_many_narratives_is_not_alerted_but_still_withheld():
    history = NameHistory()
    for number in range(POLICY.established_narratives):
        history.hear(NAME, f"n-{number}", number * POLICY.established_s / 4)
    named = named_persons(told_by(20), 20, POLICY, history)
    assert not named.is_named
    assert named.names == (NAME,)
    assert named_persons(told_by(20, name="Adam Fenwick"), 20, POLICY, history).is_named


def test_the_history_holds_no_name():
    history = NameHistory()
    history.hear(NAME, "n-1", 0.0)
    assert not any(leak in msgspec.json.encode(history).decode().lower() for leak in LEAKS)
    history.expire(31 * 86400.0)
    assert history.heard == {}


def test_names_are_bounded_and_evictions_told():
    names = Names()
    evicted = sum(
        names.add(Naming(name=f"Adam Fen{chr(97 + i // 26)}{chr(97 + i % 26)}wick", role="x"), i)
        for i in range(MOST_NAMES + 5)
    )
    assert evicted == 5
    assert len(names.told) == MOST_NAMES


_TELLING = st.tuples(st.sampled_from(["Adam Fenwick", NAME, "Ida Korhonen"]), st.integers(0, 9), st.booleans())


@given(st.lists(_TELLING, max_size=60))
def test_what_is_told_and_deleted_leaves_nothing(tellings):
    names = Names()
    marks = [(Naming(name=name, role="x", doubted=doubted), author) for name, author, doubted in tellings]
    for naming, author in marks:
        names.add(naming, author)
    for naming, author in marks:
        names.remove(naming, author)
    assert names.told == {}


@given(st.lists(_TELLING, max_size=60), st.integers(0, 9))
def test_an_erased_author_is_in_no_name(tellings, erased):
    names = Names()
    for name, author, doubted in tellings:
        names.add(Naming(name=name, role="x", doubted=doubted), author)
    names.forget(erased)
    assert all(erased not in told.authors for told in names.told.values())
    assert all(len(told.authors) <= AUTHORS_KEPT for told in names.told.values())


@pytest.mark.parametrize(
    "text",
    [
        "it was Tarek Al-Omrani.",
        "it was tarek al-omrani.",
        "#TarekAlOmrani",
        "#JusticeForTarekAlOmrani",
        "Al Omrani and his brother",
        "mr OMRANI",
        "Tarek Al-Omranni, sic",
        "Tarek",
        "omrani's house",
        "https://x.example/tarek-al-omrani-named",
    ],
)
def test_every_spelling_of_a_name_is_withheld(text):
    withheld = Withheld([NAME]).from_text(text)
    assert PLACEHOLDER in withheld
    assert not any(leak in person_key(withheld) for leak in LEAKS)


def test_everyday_words_stay_where_they_are_no_name():
    withheld = Withheld(["Rose Brown"])
    assert withheld.from_text("the brown river rose by a metre") == "the brown river rose by a metre"
    assert withheld.from_text("Rose Brown did it. Brown!") == f"{PLACEHOLDER} did it. {PLACEHOLDER}!"
    assert withheld.from_text("rose", strictly=True) == PLACEHOLDER


@given(st.text(), st.lists(st.sampled_from([NAME, "Adam Fenwick", "Ida Korhonen"]), max_size=3))
def test_withholding_twice_changes_nothing_more(text, names):
    withheld = Withheld(names)
    once = withheld.from_text(f"{text} {' '.join(names)}")
    assert withheld.from_text(once) == once
    assert all(person_key(name) not in person_key(once) for name in names)


# Through the fold.


def southport(streams, *, posts=36, texts=ACCUSING, every_s=4, **fields):
    """A name put into the world, in everybody's own words, among talk of what happened."""
    draw = random.Random(5)
    made = []
    for place in range(posts):
        text = texts[place % len(texts)] if place % 3 else "attacker in Ashford at large, children hurt at the dance"
        made.append(
            streams.post(
                f"s{place}",
                streams.start_s + every_s * place,
                f"{text} ashford attacker {draw.choice(['omg', 'share', 'now'])}",
                offset=place,
                author=f"someone {place}",
                **fields,
            )
        )
    return made


def told(streams, posts, **changes):
    configured = streams.configured(source_partitions=1, **changes)
    return streams.fold([configured, *posts])


def test_a_name_put_into_the_world_is_noticed_within_tens_of_posts(streams):
    outputs, state = told(streams, southport(streams))
    alerts = [one for one in outputs if isinstance(one, Alert) and "named_person" in one.kinds]
    assert alerts
    assert alerts[0].severity != "watch"
    assert alerts[0].counts.posts <= 40
    assert alerts[0].handling.contains_named_person
    assert not alerts[0].handling.possibly_minor
    assert any("name a private person" in reason.words for reason in alerts[0].reasons)
    assert state.left_out().get("named_person_cap", 0) == 0


def test_a_person_named_among_calls_to_violence_is_a_page(streams):
    calm, _ = told(streams, southport(streams))
    inciting = [msgspec.structs.replace(post, incitement=0.95) for post in southport(streams)]
    angry, _ = told(streams, inciting)
    pages = [one for one in angry if isinstance(one, Alert) and one.severity == "page"]
    assert pages
    assert "named_person" in pages[-1].kinds
    assert not [one for one in calm if isinstance(one, Alert) and one.severity == "page"]


def test_the_name_is_in_nothing_that_is_published_but_texts(streams):
    claim = streams.claim(0, "The Ashford attacker is Tarek Al-Omrani", claim_id="https://c.example/tarek-al-omrani")
    posts = southport(streams, community="Find Tarek Omrani")
    note = streams.feedback(0, "note", narrative_id=None, alert_id="a", note="x")
    configured = streams.configured(source_partitions=1, falsehood={"match_probability": 0.0})
    outputs, state = streams.fold([configured, claim, *posts])
    alert = next(one for one in outputs if isinstance(one, Alert))
    said = msgspec.structs.replace(note.feedback, alert_id=alert.alert_id, note="Tarek Al-Omrani is at home")
    more, _ = streams.fold([msgspec.structs.replace(note, feedback=said)], state)
    outputs += more
    alerts = [one for one in outputs if isinstance(one, Alert)]
    assert any(one.matched_claims for one in alerts)
    assert any(one.review.note for one in alerts)
    assert any(PLACEHOLDER in one.label for one in alerts)
    for one in outputs:
        if isinstance(one, Narrative):
            hidden = msgspec.structs.replace(one, exemplars=(), matched_claims=(), withheld_names=())
            hidden = msgspec.structs.replace(hidden, spread=alerts[0].spread)
        else:
            hidden = one
        record = encode_record(hidden).decode().lower()
        assert not any(leak in record for leak in LEAKS), record
    narratives = [one for one in outputs if isinstance(one, Narrative)]
    assert any(NAME in one.withheld_names for one in narratives)


def test_the_name_of_a_possible_minor_is_not_even_in_texts(streams):
    posts = southport(streams, texts=["The attacker is Tarek Al-Omrani, 17", "17-year-old attacker Tarek Al-Omrani"])
    outputs, _ = told(streams, posts)
    alerts = [one for one in outputs if isinstance(one, Alert)]
    narratives = [one for one in outputs if isinstance(one, Narrative)]
    assert alerts[-1].handling.possibly_minor
    assert any("may be a minor" in reason.words for reason in alerts[-1].reasons)
    assert narratives[-1].possibly_minor
    assert any(PLACEHOLDER in exemplar.text for exemplar in narratives[-1].exemplars)
    for one in [*alerts, *narratives]:
        assert not any(leak in encode_record(one).decode().lower() for leak in LEAKS)


def test_a_name_told_in_one_narrative_is_withheld_in_every_other(streams):
    bystander = [
        streams.post(
            f"b{place}", streams.start_s + 200 + place, "wolves escaped sanctuary paddock rangers omrani",
            offset=100 + place, author=f"b {place}",
        )
        for place in range(12)
    ]  # fmt: skip
    outputs, _ = told(streams, [*southport(streams), *bystander])
    labels = [one.label for one in outputs if isinstance(one, Alert | Narrative) and "wolves" in one.label]
    assert labels
    assert not any(leak in label for label in labels for leak in LEAKS)


def test_what_police_say_is_noted_and_handled_with_the_same_care(streams):
    outputs, _ = told(streams, southport(streams, texts=["Police named the attacker as Tarek Al-Omrani"]))
    alert = [one for one in outputs if isinstance(one, Alert)][-1]
    assert any("give police or another authority" in reason.words for reason in alert.reasons)
    assert alert.handling.contains_named_person
    assert alert.severity != "page"


def test_empty_reshares_spread_what_the_post_said(streams):
    first = streams.post("s0", streams.start_s, ACCUSING[0], author="one")
    reshares = [
        streams.post(
            f"r{place}", streams.start_s + place, "", offset=place, author=f"r {place}", kind="reshare", parent_id="s0"
        )
        for place in range(1, 20)
    ]
    outputs, _ = told(streams, [first, *reshares])
    assert any("named_person" in one.kinds for one in outputs if isinstance(one, Alert))


def test_deleting_every_post_that_told_a_name_forgets_the_name(streams):
    posts = southport(streams)
    deletions = [streams.deletion(place, post_id=post.post_id) for place, post in enumerate(posts)]
    _, state = told(streams, [*posts, *deletions])
    assert all(not micro.names.told for micro in state.narratives.micros.values())
    assert state.narratives.withheld(POLICY).names == ()


def test_an_erased_author_names_nobody_any_more(streams):
    posts = southport(streams)
    _, state = told(streams, [*posts, *(streams.deletion(i, author_id=post.author_id) for i, post in enumerate(posts))])
    assert all(not micro.names.told for micro in state.narratives.micros.values())


def test_a_restart_withholds_the_same_names(streams):
    entries = [streams.configured(source_partitions=1), *southport(streams)]
    whole, state = streams.fold(entries)
    _, half = streams.fold(entries[:20])
    snapshot = encode_state(half)
    resumed = decode_state(snapshot.manifest, snapshot.chunks)
    rest = list(fold(resumed, enumerate(entries[20:], start=20)))
    assert streams.encoded(rest) == streams.encoded(whole)[-len(rest) :]
    assert resumed.narratives.withheld(POLICY).names == state.narratives.withheld(POLICY).names != ()


WORDINGS = (
    "The Marlow Bay attacker has been named as Idris Kestrel, who came by boat",
    "so the marlow bay knifeman is Idris Kestrel and nobody dares to say it",
    "Idris Kestrel is the man who attacked those children at the harbour school",
)


def told_in(streams, wordings, *, each):
    """Alerts of a stream in which wordings go round at once, each too small to be seen by itself."""
    floors = {"least_posts": 12, "least_cascade_posts": 30, "least_copies": 30, "least_authors": 8}
    entries = [streams.configured(source_partitions=1, virality=floors, narratives={"micro_similarity": 0.9})]
    for number in range(each * len(wordings)):
        at_s = streams.start_s + 10 * number
        entries.append(streams.post(f"p{number}", at_s, wordings[number % len(wordings)], offset=number))
    outputs, state = streams.fold(entries)
    assert len(state.narratives.narratives) == len(wordings)
    return [output for output in outputs if isinstance(output, Alert)]


def test_a_name_that_several_narratives_tell_is_one_notice_of_the_one_that_tells_it_most(streams):
    alerts = told_in(streams, WORDINGS, each=8)
    assert len({alert.alert_id for alert in alerts}) == 1
    assert alerts[0].severity == "notice"
    assert alerts[0].kinds == ("named_person",)
    [reason] = [reason for reason in alerts[0].reasons if reason.signal == "name_retold"]
    assert reason.words.startswith("2 narratives tell the same name: together")
    assert "Kestrel" not in " ".join(reason.words for reason in alerts[0].reasons)


def test_a_name_that_one_narrative_alone_tells_waits_until_that_one_spreads(streams):
    others = ("the ferry is late again because of the wind", "what a goal by the team of the valley")
    assert not told_in(streams, (WORDINGS[0], *others), each=8)
