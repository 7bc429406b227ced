import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.surface_forms import is_gathering, read


def kinds(text: str) -> set[str]:
    return {indicator.kind for indicator in read(text).indicators}


def found(text: str, kind: str) -> list[str]:
    return [indicator.words for indicator in read(text).indicators if indicator.kind == kind]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Burn it down", "Burn"),
        ("Enough! Torch the camp", "Torch"),
        ("we must attack them first", "attack"),
        ("Time to hang the traitors", "hang"),
        ("lads, let's get them", "let's get them"),
        ("go there and smash the windows", "smash"),
        ("they should all be shot", "should all be shot"),
        ("Death to the invaders", "Death to"),
        ("Set the shelter on fire", "Set the shelter on fire"),
        ("MEET outside the mosque", "MEET outside"),
    ],
)
def test_a_call_to_act_is_found_where_somebody_is_called_on(text, words):
    assert words in found(text, "call_to_act")


@pytest.mark.parametrize(
    "text",
    [
        "The house burned for hours",
        "Attack on market kills three",
        "Shoot me an email by Friday",
        "Let's hang out at the park",
        "Burn calories with this workout",
        "I could murder a burger",
        "Beat the eggs and fry them",
        "Let's get them out of office",
        "They met at the station",
        "Do not burn anything tonight",
        "Nobody deserves to be killed",
        "Kill time until the film starts",
    ],
)
def test_events_idioms_and_warnings_are_no_call_to_violence(text):
    assert "violent_call" not in read(text).remarks


@pytest.mark.parametrize(
    ("text", "time_words"),
    [
        ("tonight we march", "tonight"),
        ("be there at 8pm", "at 8pm"),
        ("come at 20:00", "at 20:00"),
        ("doors at half past six.", "at half past six"),
        ("see you on Friday", "Friday"),
        ("it starts 23 July", "23 July"),
        ("from July 4th on", "July 4th"),
        ("this evening then", "this evening"),
    ],
)
def test_times_are_found_however_they_are_written(text, time_words):
    assert time_words in found(text, "time")


@pytest.mark.parametrize("text", ["at 8 percent", "in 2019 they left", "at 30 people", "version 3", "lost 3:0 to them"])
def test_other_numbers_are_no_time(text):
    assert not found(text, "time")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("outside the mosque", "mosque"),
        ("meet in Rotherham", "Rotherham"),
        ("near Dunmore Street please", "Dunmore Street"),
        ("9pm, Grange Road", "Grange Road"),
        ("at the town hall", "town hall"),
    ],
)
def test_places_are_found_with_their_names(text, place):
    assert place in found(text, "place")


def test_a_month_or_a_weekday_is_no_place():
    assert not found("in January and on Sundays", "place")


def test_weapons_targets_and_dehumanisation_are_told_apart():
    text = "Bring bats, the migrants are vermin, these rats must go"
    assert {"weapon", "target", "dehumanisation"} <= kinds(text)


def test_a_pet_is_not_dehumanised():
    assert "dehumanisation" not in kinds("My dogs and the neighbour's rats get on well")


def test_a_call_inside_a_quotation_is_marked_as_quoted():
    remarks = read('He shouted "burn the camp" and was arrested').remarks
    assert "quoted_call" in remarks
    assert "violent_call" not in remarks


def test_a_threat_is_remarked():
    assert "threat" in read("I'm going to kill every one of you").remarks
    assert "threat" not in read("I'm going to the market").remarks


def test_gathering_is_told_from_violence():
    assert is_gathering("meet at")
    assert not is_gathering("burn")


def test_links_and_handles_are_not_read():
    assert not read("https://example.org/burn/the/mosque @attack_them").indicators


@given(st.text(max_size=300))
def test_any_text_can_be_read_and_what_is_found_stands_in_it(text):
    reading = read(text)
    assert all(indicator.words in text for indicator in reading.indicators)
    assert len({(i.kind, i.words.lower()) for i in reading.indicators}) == len(reading.indicators)


@pytest.mark.parametrize("unit", ["should be ", "let's get ", "at at ", "a" * 100, "Burn the ", "i will ", "1/1/", '"'])
def test_a_long_text_costs_time_in_proportion(unit):
    text = (unit * 4000)[:16000]
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 2.0


def told(text, kind):
    return [indicator.words for indicator in read(text).indicators if indicator.kind == kind]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Vigil for the drowned this Friday at 8, old pier", "Vigil"),
        ("Silent march from the mill on Monday", "march"),
        ("Everybody to the docks, they land at 7 tonight", "Everybody to"),
        ("Lads, Cooper Lane, half past ten", "Lads"),
        ("Occupy the council chamber tomorrow", "Occupy the"),
        ("Come early to the north gate tomorrow", "Come early to"),
        ("Assemble under the clock tower at noon", "Assemble under"),
    ],
)
def test_a_call_needs_no_verb_where_a_time_lies_ahead(text, call):
    assert told(text, "call_to_act") == [call]
    assert is_gathering(call)


@pytest.mark.parametrize(
    "text",
    [
        "Vigil for the drowned was held on Friday at 8",
        "March ended on Monday without arrests",
        "Vigil for the drowned, a history",
        "Everybody to whom I spoke on Friday said so",
        "Gathering of the choir on Sunday, tickets at the door",
        "They occupy the building since Monday",
        "All the shops open at ten",
    ],
)
def test_what_is_past_or_sold_or_has_no_time_calls_nobody(text):
    assert told(text, "call_to_act") == []


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Meet at the old flax market tonight", ["old flax market"]),
        ("Meet in St Brida's churchyard tonight", ["St Brida's churchyard"]),
        ("Meet at junction 7 tonight", ["junction 7"]),
        ("Meet behind the bus depot tonight", ["bus depot"]),
    ],
)
def test_places_with_plain_words_saints_and_numbers_are_told_whole(text, places):
    assert told(text, "place") == places


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("Meet there 18:30 sharp", ["18:30"]),
        ("Meet there half past nine", ["half past nine"]),
        ("Meet there on Saturday night", ["Saturday night"]),
        ("Meet there after dark", ["after dark"]),
        ("Meet there on Christmas Eve", ["Christmas Eve"]),
        ("Meet there from 5.30", ["from 5.30"]),
    ],
)
def test_times_are_told_whole(text, times):
    assert told(text, "time") == times


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("Ambush the convoy tonight", ["convoy"]),
        ("Burn the registry office tonight", ["registry office"]),
        ("Attack the police station now", ["police station"]),
        ("Blockade the embassy tomorrow", ["embassy"]),
        ("Meet on Kessel Square by the library", []),
        ("Meet in Church Street tonight", []),
        ("Smash the square tonight", ["square"]),
    ],
)
def test_a_target_is_what_is_acted_on_and_a_public_space_is_none(text, targets):
    assert told(text, "target") == targets


def test_what_is_told_besides_is_no_input_of_the_heads():
    reading = read("Vigil in St Brida's churchyard this Friday, half past nine")
    assert {"call_to_act", "place"} <= {indicator.kind for indicator in reading.indicators}
    assert "call_to_act" not in reading.signs
    assert "target" in read("Meet on Kessel Square").signs
    assert told("Meet on Kessel Square", "target") == []
