"""Runs `transcripts/*.yml`: what goes in, when, and every transition that must come of it.

A transcript is a list of steps. `posts` (count, at, every; narrative, authors, kind, stance, inciting, calls, late),
`tick`, `claim` (verdict, probability, narrative) and `feedback` (word, by, until, into, narrative) go in; `expect`
lists all that came out since the step before it, in order, each matched on the fields that it names. Times are like
`1h30m`, counted from the start. What comes out and is not expected fails, and so do transcripts with an `error` that
end without it: they test this test. Any driver with the four methods of `TallyDriver` can run them.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import yaml

from detectors.alerts import Budget, advance, apply_feedback, establish, expire, judge, merge_cases, new_case
from detectors.policy import Configuration
from detectors.records import STANCES, Feedback, MatchedClaim
from detectors.virality import Mark, Population, Tally, assess, author_key, counts

START_S = 1_400_000_400.0
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
STEPS = {"posts", "tick", "claim", "feedback", "expect"}


class TranscriptError(AssertionError):
    """What came out is not what was expected."""


class TallyDriver:
    """Virality and alerts alone: narratives are given by name, not found."""

    def __init__(self, configuration):
        self.configuration = configuration
        self.tallies, self.cases, self.claims = {}, {}, {}
        self.population, self.budget = Population(), Budget()
        self.now_s = START_S
        self.housekept_s = START_S
        self.authors = 0

    def posts(self, narrative, times_s, *, authors=None, stance=None, **changes):
        outputs = []
        for place, at_s in enumerate(times_s):
            author = self.authors + place % (authors or len(times_s))
            mark = Mark(
                at_s=at_s,
                author_key=author_key(str(author)),
                platform="x",
                cascade_posts=100,
                stance=stance and tuple(1000 * (each == stance) for each in STANCES),
                **changes,
            )
            if not mark.late:
                outputs += self.tick(max(self.now_s, at_s))
            tally = self.tallies.setdefault(narrative, Tally())
            self.population.add(at_s, self.now_s - tally.first_at_s, tally.add(mark))
            outputs += self.judge(narrative)
        self.authors += len(times_s)
        return outputs

    def tick(self, at_s):
        self.now_s = at_s
        if at_s - self.housekept_s < self.configuration.time.housekeeping_s:
            return []
        self.housekept_s = at_s
        outputs = []
        for narrative, case in self.cases.items():
            window_posts = self.tallies[narrative].window(at_s, self.configuration.virality.window_s)[0]
            outputs += self.output(narrative, expire(case, at_s, window_posts, self.configuration.life_cycle))
        return outputs

    def claim(self, narrative, claim):
        self.claims.setdefault(narrative, []).append(claim)
        return self.judge(narrative)

    def feedback(self, narrative, feedback, into=None):
        case = self.case(narrative)
        sent = apply_feedback(case, feedback, self.now_s, self.tallies[narrative].posts)
        outputs = self.output(narrative, sent)
        if feedback.word == "merge":
            of_winner, of_loser = merge_cases(self.case(into), case, self.now_s)
            outputs += self.output(narrative, of_loser) + self.output(into, of_winner)
        return outputs

    def judge(self, narrative):
        tally, case, configuration = self.tallies[narrative], self.case(narrative), self.configuration
        growth = assess(tally, self.now_s, self.population, configuration.virality)
        counted = counts(tally, self.now_s, configuration.virality)
        claims = self.claims.get(narrative, ())
        facts = establish(tally, growth, counted, claims, self.now_s, configuration, case=case)
        judgement = judge(configuration.rules, facts)
        life = configuration.life_cycle
        return self.output(narrative, advance(case, judgement, growth, counted, self.now_s, life, self.budget))

    def case(self, narrative):
        return self.cases.setdefault(narrative, new_case(narrative))

    def output(self, narrative, sent):
        if sent is None:
            return []
        return [
            {
                "narrative": narrative,
                "transition": sent.transition,
                "revision": sent.revision,
                "severity": sent.severity,
                "kinds": list(sent.kinds),
                "posts": self.tallies[narrative].posts,
                "after_s": self.now_s - START_S,
            }
        ]


def seconds(words):
    """`1h30m` as seconds."""
    if not re.fullmatch(r"(\d+[smhd])+", str(words)):
        raise ValueError(f"not a time: {words!r}")
    return sum(int(count) * UNIT_S[unit] for count, unit in re.findall(r"(\d+)([smhd])", words))


def run_step(driver, step):
    (word, what), *others = step.items()
    if others or word not in STEPS:
        raise ValueError(f"not a step: {step}")
    if word == "tick":
        return driver.tick(START_S + seconds(what))
    what = dict(what)
    narrative = what.pop("narrative", "n")
    if word == "posts":
        at_s, every_s = START_S + seconds(what.pop("at")), seconds(what.pop("every", "0s"))
        times_s = [at_s + place * every_s for place in range(what.pop("count", 1))]
        return driver.posts(narrative, times_s, **what)
    if word == "claim":
        fields = {"claim_id": "c-1", "claim": "x", "rating": "", "similarity": 0.9, "probability": 0.9}
        return driver.claim(narrative, MatchedClaim(**{**fields, **what}))
    into = what.pop("into", None)
    until = what.pop("until", None)
    at = datetime.fromtimestamp(driver.now_s, UTC)
    what["until"] = until and datetime.fromtimestamp(START_S + seconds(until), UTC)
    return driver.feedback(narrative, Feedback(feedback_id="f-1", at=at, **{"by": "ana", **what}), into)


def match(expected, outputs):
    for wanted, output in zip(expected, outputs, strict=False):
        unknown = set(wanted) - set(output)
        if unknown:
            raise ValueError(f"outputs have no field {sorted(unknown)}")
        for field, value in wanted.items():
            if output[field] != value:
                raise TranscriptError(f"Wrong {field}: expected {value!r}, came {output}")
    if len(outputs) > len(expected):
        raise TranscriptError(f"Unmatched output: {outputs[len(expected) :]}")
    if len(outputs) < len(expected):
        raise TranscriptError(f"Missing output: {expected[len(outputs) :]}")


def run(driver, transcript):
    outputs = []
    for step in transcript:
        if "expect" in step:
            match(step["expect"], outputs)
            outputs = []
        else:
            outputs += run_step(driver, step)
    match([], outputs)


def transcripts():
    for path in sorted((Path(__file__).parent / "transcripts").glob("*.yml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield pytest.param(document, id=f"{path.stem}: {document['name']}")


@pytest.mark.parametrize("document", list(transcripts()))
def test_transcript(document):
    configuration = msgspec.convert(document.get("configuration", {}), Configuration)
    error = document.get("error")
    if error is None:
        run(TallyDriver(configuration), document["transcript"])
    else:
        with pytest.raises(TranscriptError, match=error):
            run(TallyDriver(configuration), document["transcript"])


def test_there_are_transcripts_that_pass_and_transcripts_that_must_fail():
    errors = [param.values[0].get("error") for param in transcripts()]
    assert errors.count(None) >= 10
    assert {error.split()[0] for error in errors if error} == {"Unmatched", "Missing", "Wrong"}
