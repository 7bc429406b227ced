import pytest

from detectors.hedging import hedges


@pytest.mark.parametrize(
    "text",
    [
        "Unconfirmed reports of a second gunman in the station",
        "The river was reportedly poisoned",
        "Not yet confirmed: the mayor has resigned",
        "Conflicting reports of what happened on Mill Road",
        "Attackers have suicide belts – report",
        "Several more people flee, local media say",
        "Hearing that the bridge is closed",
        "The attack may be part of a larger plot",
        "It appears that the suspect is known to police",
        "Rumours say she is in a clinic in Ticino",
        "According to sources, two are missing",
        "Der Täter war angeblich bewaffnet",
        "Le maire aurait démissionné",
        "El alcalde habría dimitido, según fuentes",
        "Сообщают, что якобы погибли двое",
    ],
)
def test_who_does_not_vouch_hedges(text):
    assert hedges(text)


@pytest.mark.parametrize(
    "text",
    [
        "BREAKING: police enter the cafe",
        "The river was poisoned, share this now",
        "Police confirm reports of an injured person",
        "The mayor has officially resigned, it seems to be over",
        "Fire on Mill Road, twelve dead, says the fire chief",
        "In May the road will be closed",
        "I love this band",
        "Der Täter war bewaffnet, sagt die Polizei",
        "",
    ],
)
def test_who_asserts_or_names_who_vouches_does_not(text):
    assert not hedges(text)
