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
        "Up to 20 people held at the Ardley bank",
        "12-15 people trapped under the bridge",
        "An estimated two hundred have fled, 40 feared dead",
        "Witness: the driver jumped out before the crash",
        "Bis zu 30 Menschen im Keller eingeschlossen",
        "The council lied to us about the water",
        "No media allowed near the bridge. What are they hiding from us",
        "Total media blackout over Rosgate",
        "This is a cover-up from start to finish",
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
        "13 held in the bank",
        "Police confirm up to 20 people were inside",
        "The bank opens at about 9 am, in some 20 minutes",
        "The town lies in the valley",
        "I love this band",
        "Der Täter war bewaffnet, sagt die Polizei",
        "",
    ],
)
def test_who_asserts_or_names_who_vouches_does_not(text):
    assert not hedges(text)
