"""From a narrative's state to what is published of it: facts, transitions, alerts and narrative records."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from detectors.alerts import (
    NOBODY,
    Case,
    Facts,
    Judgement,
    Retold,
    Transition,
    advance,
    apply_feedback,
    correct,
    elder,
    establish,
    expire,
    judge,
    merge_cases,
    new_case,
    say_again,
    spreads,
)
from detectors.crises import concerns, in_force, under
from detectors.entries import Vector
from detectors.event_time import BEGINNING_S
from detectors.falsehood import linked_claim, matched_claim, rated_anew
from detectors.inherited import FOUND_AGAIN, Inherited, found_in, not_found_again, said
from detectors.labels import label_of
from detectors.looked import Looked, LookSummary
from detectors.looks import look_id_of
from detectors.named_persons import PLACEHOLDER, NamedPersons, Withheld, named_persons, person_key
from detectors.narratives import Change, NarrativeState, Shown, told_by
from detectors.policy import Configuration, config_hash
from detectors.post_index import IndexedPost
from detectors.posts import clean, normalise
from detectors.records import (
    SEVERITIES,
    Alert,
    Crisis,
    DataHealth,
    Exemplar,
    Feedback,
    Handling,
    Kind,
    Look,
    MatchedClaim,
    Narrative,
    NarrativeChange,
    NarrativeExemplar,
    Reason,
    Review,
    Spread,
)
from detectors.state import MonitorState
from detectors.virality import MILLI, Tally, assess, could_burst, counts, merged_tally, timeline, with_course
from detectors.words import evidence_changes, reasons, verdict, void_ended, why_now

Published = Alert | Narrative | NarrativeChange | Look

LEAST_PUBLISHED = 5
"""Posts from which a narrative is published though it has no alert."""

SENT_SHARE = 10
SENT_AFTER_S = 300.0
"""A narrative with an open alert is published again when it has grown by one post in so many, else after so long."""

MATCH_AGAIN = 1.25
"""When claims have come or gone a narrative is matched again from this growth on, else when it has doubled."""

CLAIMS_SHOWN = 3

ASSESSED_SHARE = 50
"""A narrative is assessed again when it has grown by one post in so many: growth of 2 % changes no judgement."""


class Assessor:
    """Looks at narratives of one state, moves their cases and writes what is to be published."""

    def __init__(self, state: MonitorState) -> None:
        self._state = state
        self._core = state.core
        self._configuration = state.core.configuration

    def posted(self, narrative: NarrativeState) -> Iterator[Published]:
        """Assess a narrative that has one more post, if the floors allow that it is worth it."""
        case = self._core.cases.get(narrative.narrative_id)
        now_s = narrative.tally.last_at_s
        if case is None:
            configuration = self._in_force(narrative)
            is_bursting = could_burst(narrative.tally, now_s, configuration.virality)
            named = NOBODY if is_bursting else self._named(narrative, configuration)
            if not is_bursting and self._retold(narrative, named, now_s, configuration) is None:
                return
        grown = narrative.tally.posts - narrative.assessed_at_posts  # negative after a split or deletions
        if 0 <= grown < narrative.assessed_at_posts // ASSESSED_SHARE:
            return
        self._match_if_due(narrative)
        yield from self._assess(narrative, case, now_s)

    def _in_force(self, narrative: NarrativeState) -> Configuration:
        """The configuration, with thresholds lowered where a declared crisis concerns the narrative."""
        crisis = self._crisis(narrative)
        return self._configuration if crisis is None else under(self._configuration, crisis)

    def declared(self) -> Iterator[Published]:
        """Look again at every narrative for which a crisis has lowered the thresholds: it need not wait for a post."""
        for narrative in list(self._state.narratives.narratives.values()):
            if narrative.narrative_id in self._core.cases or self._crisis(narrative) is None:
                continue
            now_s = self._core.time.greatest_at_s
            if could_burst(narrative.tally, now_s, self._in_force(narrative).virality):
                self._match_claims(narrative)
                yield from self._assess(narrative, None, now_s)

    def grouped(self, changes: list[Change]) -> Iterator[Published]:
        """Let cases follow their narratives through merges and deaths."""
        for change in changes:
            if change.gone is not None and change.gone.sent_posts:
                yield self._ended(change, change.gone)
            if change.gone is None or change.gone.sent_posts:
                yield self._change(change.change, change.narrative_id, change.other_id, change.posts)
            case = self._core.cases.pop(change.narrative_id, None) if change.gone is not None else None
            if case is None:
                continue
            if change.change == "merge" and change.other_id is not None:
                yield from self._merge_into(change.other_id, case, change.gone)
            elif case.is_live():
                transition = expire(
                    case,
                    case.news_at_s + self._configuration.life_cycle.cleared_after_s,
                    0,
                    self._configuration.life_cycle,
                )
                if transition is not None and change.gone is not None:
                    yield self._alert(change.gone, case, transition, None)

    def time_passed(self, now_s: float) -> Iterator[Published]:
        """Let time alone move cases, match late claims, and publish narratives that have changed."""
        for narrative_id, case in list(self._core.cases.items()):
            narrative = self._state.narratives.narratives.get(narrative_id)
            if narrative is None or not case.is_live():
                continue
            if narrative.matched_at_claims != self._core.claims_version:
                self._match_claims(narrative)
                yield from self._evidence_moved(narrative, case, max(now_s, narrative.tally.last_at_s))
            window_posts = narrative.tally.window_posts(now_s, self._configuration.virality.window_s)
            transition = expire(case, now_s, window_posts, self._configuration.life_cycle)
            if transition is not None:
                yield from self._published(narrative, case, transition, None)
        yield from self._inherited_passed(now_s)
        yield from self._changed_narratives()
        self._drop_cases()

    def ended(self) -> Iterator[Published]:
        """Publish narratives with an open alert as they are in the end: nothing more is to come."""
        yield from self._changed_narratives(nothing_more=True)

    def hidden(self, narratives: Iterable[NarrativeState]) -> Iterator[Alert | Narrative]:
        """Publish narratives and alerts again that showed what was deleted: the last record of each must not show it.

        An alert names its exemplars by their ids, and its label is of their words.
        """
        for narrative in narratives:
            case = self._core.cases.get(narrative.narrative_id)
            if case is not None and (transition := say_again(case, self._core.time.greatest_at_s)) is not None:
                yield self._alert(narrative, case, transition, None)
            if narrative.sent_posts:
                yield self._narrative(narrative, case, "live", None)

    def feedback(self, feedback: Feedback) -> Iterator[Published]:
        """Apply a person's word; a word on something that is not known (any more) is counted."""
        if feedback.alert_id is not None and feedback.alert_id in self._core.inherited:
            yield from self._word_on_inherited(self._core.inherited[feedback.alert_id], feedback)
            return
        case = self._case_of(feedback)
        narrative = self._state.narratives.narratives.get(case.narrative_id) if case else None
        if case is None or narrative is None:
            self._state.leave_out("feedback_on_unknown")
            return
        now_s = self._core.time.greatest_at_s
        transition = apply_feedback(case, feedback, now_s, narrative.tally.posts)
        if transition is not None:
            yield from self._published(narrative, case, transition, None)
        if feedback.word == "link_claim":
            yield from self._assess(narrative, case, now_s)
        into = self._by_alert_id(feedback.into_alert_id) if feedback.word == "merge" else None
        if into is not None and into is not case and "merged" not in {into.state, case.state}:
            yield from self._merge_cases(into, case, narrative)

    def _case_of(self, feedback: Feedback) -> Case | None:
        """Return the case that is meant; a word on a narrative without one starts it, so that a mute is kept."""
        if feedback.alert_id is not None:
            return self._by_alert_id(feedback.alert_id)
        narrative_id = feedback.narrative_id or ""
        if narrative_id in self._state.narratives.narratives:
            revision = self._state.narratives.narratives[narrative_id].sent_revision
            return self._core.cases.setdefault(narrative_id, new_case(narrative_id, revision))
        return None

    def _by_alert_id(self, alert_id: str | None) -> Case | None:
        return next((case for case in self._core.cases.values() if case.alert_id == alert_id), None)

    def _assess(self, narrative: NarrativeState, case: Case | None, now_s: float) -> Iterator[Published]:
        narrative.assessed_at_posts = narrative.tally.posts
        facts = self._facts(narrative, case, now_s, self._rules_read_forecasts())
        if facts.spreading and self._configuration.look_model:
            asked = list(self._ask(narrative))
            yield from asked
            facts = self._facts(narrative, case, now_s, self._rules_read_forecasts()) if asked else facts
        judgement = judge(self._configuration.rules, facts)
        if case is None:
            if judgement is None:
                return
            case = yield from self._begin_case(narrative, judgement, now_s)
        if _void_ends(case, facts):
            yield from self._corrected(
                narrative, case, correct(case, judgement, ("information_void",), now_s), judgement, (void_ended(facts),)
            )
        transition = advance(
            case,
            judgement,
            facts.growth,
            facts.counts,
            now_s,
            self._configuration.life_cycle,
            self._core.budget,
            reach=None if facts.alike is None else int(facts.alike.effective_accounts),
        )
        if transition is not None:
            yield from self._published(narrative, case, transition, judgement)

    def _begin_case(
        self, narrative: NarrativeState, judgement: Judgement, now_s: float
    ) -> Generator[Published, None, Case]:
        """Begin the case of a narrative, or go on with the alert of an earlier state that was told of it."""
        one = self._found_again(narrative) if self._core.inherited else None
        case = one.case if one else new_case(narrative.narrative_id, narrative.sent_revision)
        self._core.cases[narrative.narrative_id] = case
        if case.narrative_id == narrative.narrative_id:
            return case
        case.narrative_id = narrative.narrative_id
        if case.is_live() and (transition := say_again(case, max(now_s, case.changed_at_s))) is not None:
            alert = self._alert(narrative, case, transition, judgement)
            yield msgspec.structs.replace(alert, reasons=(FOUND_AGAIN, *alert.reasons))
            yield from self._narrative_records(narrative, case)
        return case

    def _found_again(self, narrative: NarrativeState) -> Inherited | None:
        shown = {
            alert_id
            for alert_id, one in self._core.inherited.items()
            for exemplar in one.alert.exemplars
            if (post := self._state.posts.get(exemplar.post_id)) is not None and post.micro_id in narrative.members
        }
        wordings = [vector for _, vector in self._state.narratives.wordings(narrative)]
        alert_id = found_in(
            self._core.inherited, narrative.narrative_id, shown, wordings, self._configuration.narratives
        )
        return self._core.inherited.pop(alert_id) if alert_id else None

    def _inherited_passed(self, now_s: float) -> Iterator[Alert]:
        """Clear alerts of an earlier state that nothing repeated in time."""
        after_s = self._configuration.life_cycle.cleared_after_s
        for alert_id, one in list(self._core.inherited.items()):
            if now_s - one.case.news_at_s < after_s:
                continue
            del self._core.inherited[alert_id]
            transition = expire(one.case, now_s, 0, self._configuration.life_cycle)
            if transition is not None:
                yield self._said(one, transition, not_found_again(after_s))

    def hidden_of_inherited(self, post_ids: Collection[str]) -> Iterator[Alert]:
        """Publish alerts of an earlier state again that showed what was deleted; its words go with it."""
        for one in self._core.inherited.values():
            exemplars = tuple(shown for shown in one.alert.exemplars if shown.post_id not in post_ids)
            if exemplars == one.alert.exemplars:
                continue
            one.alert = msgspec.structs.replace(one.alert, exemplars=exemplars, label=label_of([], None))
            one.wordings = ()
            transition = say_again(one.case, max(self._core.time.greatest_at_s, one.case.changed_at_s))
            if transition is not None:
                yield self._said(one, transition, None)

    def _word_on_inherited(self, one: Inherited, feedback: Feedback) -> Iterator[Alert]:
        now_s = self._core.time.greatest_at_s
        transition = apply_feedback(one.case, feedback, now_s, one.alert.counts.posts)
        if transition is not None:
            yield self._said(one, transition, None)

    def _said(self, one: Inherited, transition: Transition, reason: Reason | None) -> Alert:
        withheld = self._state.narratives.withheld(self._configuration.named_persons)
        one.alert = said(one, transition, _review_without(one.case.review(), withheld), reason)
        return one.alert

    def _evidence_moved(self, narrative: NarrativeState, case: Case, now_s: float) -> Iterator[Published]:
        """Claims came, changed or went: tell of those that an open alert was sent with, and judge it anew."""
        facts = self._facts(narrative, case, now_s)
        known = [claim_id for claim_id in case.told_claims if self._state.claims.entry(claim_id) is not None]
        changes = evidence_changes(case.told_claims, facts.claims, known)
        if not changes:
            yield from self._assess(narrative, case, now_s)
            return
        dropped: list[Kind] = []
        if "false" in case.told_claims.values() and not facts.claim_rated_false:
            dropped.append("false_narrative")
        if _void_ends(case, facts):
            dropped.append("information_void")
        judgement = judge(self._configuration.rules, facts)
        graver = judgement is not None and SEVERITIES.index(judgement.severity) > SEVERITIES.index(case.severity)
        if not graver:
            yield from self._corrected(narrative, case, correct(case, judgement, dropped, now_s), judgement, changes)
        yield from self._assess(narrative, case, now_s)

    def _corrected(
        self,
        narrative: NarrativeState,
        case: Case,
        transition: Transition | None,
        judgement: Judgement | None,
        changes: Sequence[str],
    ) -> Iterator[Published]:
        if transition is None:  # a muted case takes note silently
            facts = self._facts(narrative, case, narrative.tally.last_at_s)
            case.told_claims = {claim.claim_id: claim.verdict for claim in facts.claims}
            return
        yield self._alert(narrative, case, transition, judgement, changes)
        yield from self._narrative_records(narrative, case)

    def _rules_read_forecasts(self) -> bool:
        """Whether a rule names the forecast: else it is made only for what is published."""
        rules = self._configuration.rules
        return any("forecast_large" in rule.when or "not forecast_large" in rule.when for rule in rules)

    def _facts(self, narrative: NarrativeState, case: Case | None, now_s: float, published: bool = True) -> Facts:
        """Facts as they are now; `published` adds what costs more, decides nothing and goes on records."""
        crisis = self._crisis(narrative)
        if crisis is None:
            return self._facts_by(self._configuration, narrative, case, now_s, published)
        facts = self._facts_by(under(self._configuration, crisis), narrative, case, now_s, published)
        usual = judge(self._configuration.rules, self._facts_by(self._configuration, narrative, None, now_s, published))
        return msgspec.structs.replace(facts, crisis=crisis, usual=None if usual is None else usual.severity)

    def _crisis(self, narrative: NarrativeState) -> Crisis | None:
        """Return the declared crisis in whose scope a narrative is, the one with the lowest thresholds."""
        if not self._core.crises:
            return None
        holding = in_force(self._core.crises, self._core.time.greatest_at_s)
        return next((crisis for crisis in holding if concerns(crisis, narrative.tally)), None)

    def _facts_by(
        self,
        configuration: Configuration,
        narrative: NarrativeState,
        case: Case | None,
        now_s: float,
        published: bool,
    ) -> Facts:
        watched = len(self._state.narratives.narratives)
        growth = assess(
            narrative.tally, now_s, self._core.population, configuration.virality, watched=watched, told=published
        )
        if published:
            growth = with_course(growth, narrative.tally, now_s, self._core.population, configuration.virality)
        counted = counts(narrative.tally, now_s, configuration.virality)
        named = self._named(narrative, configuration)
        others = (other for other in self._core.cases.values() if other.narrative_id != narrative.narrative_id)
        return establish(
            narrative.tally,
            growth,
            counted,
            self._as_published(narrative),
            now_s,
            configuration,
            case=case,
            named=named,
            retold=self._retold(narrative, named, now_s, configuration),
            others=others,
            alike=self._state.coordination.assess(
                narrative.tally.authors, counted.authors, self._configuration.coordination
            ),
            forecast=self._state.forecaster.forecast(narrative.tally, now_s) if published else None,
            looks=self._looks_at(narrative),
            told=published,
        )

    def _ask(self, narrative: NarrativeState) -> Iterator[Look]:
        """Ask for second looks at the posts that show a narrative, as far as its number goes."""
        looks, parameters = self._core.looks, self._configuration.looks
        left = parameters.posts_per_narrative - looks.count(narrative.members)
        for shown in self._state.narratives.exemplars(narrative).values():
            indexed = self._state.posts.get(shown.post_id)
            if left <= 0 or indexed is None or indexed.micro_id is None or shown.post_id in looks.by_post:
                continue
            left -= 1
            looks.put(shown.post_id, first_look(indexed, self._core.time.greatest_at_s), parameters.remembered)
            looks.due[narrative.narrative_id] = self._core.time.greatest_at_s + parameters.wait_s
            yield self._look(narrative, shown, indexed)

    def _look(self, narrative: NarrativeState, shown: Shown, indexed: IndexedPost) -> Look:
        return Look(
            look_id=look_id_of(shown.post_id, self._configuration.look_model),
            post_id=shown.post_id,
            narrative_id=narrative.narrative_id,
            text=shown.text,
            lang=indexed.mark.lang,
            is_reply=indexed.mark.kind == "reply",
            asked_at=_at(self._core.time.greatest_at_s),
        )

    def answered(self, narrative: NarrativeState) -> Iterator[Published]:
        """Judge a narrative anew: a second look at one of its posts was answered."""
        if not self._looks_at(narrative).waiting:
            self._core.looks.due.pop(narrative.narrative_id, None)
        self._match_claims(narrative)
        yield from self._assess(narrative, self._core.cases.get(narrative.narrative_id), narrative.tally.last_at_s)

    def overdue(self) -> Iterator[Published]:
        """Judge narratives whose second looks were not answered in time by the first look."""
        due = self._core.looks.due
        for narrative_id in [one for one, until_s in due.items() if until_s <= self._core.time.greatest_at_s]:
            del due[narrative_id]
            narrative = self._state.narratives.narratives.get(narrative_id)
            if narrative is not None and self._looks_at(narrative).is_missing:
                self._state.leave_out("look_unanswered")
                case = self._core.cases.get(narrative_id)
                yield from self._assess(narrative, case, narrative.tally.last_at_s)

    def _looks_at(self, narrative: NarrativeState) -> LookSummary:
        return self._core.looks.of(narrative.members, self._core.time.greatest_at_s, self._configuration.looks)

    def _looked_wordings(self, narrative: NarrativeState) -> list[tuple[str, Vector]]:
        """What a narrative says, with the vectors of second looks: those of claims are of the same model."""
        shown = self._state.narratives.exemplars(narrative).values()
        looked = [(one.text, self._core.looks.vector_of(one.post_id)) for one in shown]
        return [(text, vector) for text, vector in looked if vector is not None]

    def _named(self, narrative: NarrativeState, configuration: Configuration) -> NamedPersons:
        if not self._state.narratives.is_naming(narrative):
            return NOBODY
        names = self._state.narratives.names_of(narrative)
        if not names.told:
            return NOBODY
        return named_persons(names, narrative.tally.posts, configuration.named_persons, self._core.names_heard)

    def _retold(
        self, narrative: NarrativeState, named: NamedPersons, now_s: float, configuration: Configuration
    ) -> Retold | None:
        """A name that other narratives tell too, if together they spread and none of them tells it more often.

        A rumour about a person comes in many wordings at once, each too small to be seen; the name is what they share.
        """
        if not named.is_named:
            return None
        micros = self._state.narratives.telling(named.names[0])
        posts: Counter[str] = Counter()
        for micro in micros:
            posts[micro.narrative_id] += micro.names.told[person_key(named.names[0])].posts
        # One speaks for all, and goes on to: there is one alert.
        told = [one for one in posts if one in self._core.cases and self._core.cases[one].tells_of("named_person")]
        if len(posts) < 2 or min(told or posts, key=lambda one: (-posts[one], one)) != narrative.narrative_id:
            return None
        tally = merged_tally([micro.tally for micro in micros])
        now_s = max(now_s, tally.last_at_s)
        counted = counts(tally, now_s, configuration.virality)
        watched = len(self._state.narratives.narratives)
        growth = assess(tally, now_s, self._core.population, configuration.virality, watched=watched)
        if counted.window_authors < configuration.virality.least_authors:
            return None
        if not spreads(growth, counted, configuration.virality):
            return None
        return Retold(
            narratives=len(posts),
            posts=counted.window_posts,
            accounts=counted.window_authors,
            expected=growth.expected,
        )

    def _as_published(self, narrative: NarrativeState) -> tuple[MatchedClaim, ...]:
        """Matches of a narrative as their claims are now: what was withdrawn or rated anew since counts at once.

        A claim that a person linked its alert with is matched, whatever the comparison says.
        """
        matches = narrative.matches
        if narrative.matched_at_claims != self._core.claims_version:
            found = [(self._state.claims.entry(match.claim_id), match) for match in matches]
            matches = tuple(rated_anew(entry, match) for entry, match in found if entry is not None)
        case = self._core.cases.get(narrative.narrative_id)
        if case is None or not case.linked_claim_ids:
            return matches
        linked = [self._state.claims.entry(claim_id) for claim_id in case.linked_claim_ids]
        compared = [match for match in matches if match.claim_id not in case.linked_claim_ids]
        return (*[linked_claim(entry) for entry in linked if entry is not None], *compared)

    def _match_if_due(self, narrative: NarrativeState) -> None:
        new_claims = narrative.matched_at_claims != self._core.claims_version
        if narrative.tally.posts >= (MATCH_AGAIN if new_claims else 2) * narrative.matched_at_posts:
            self._match_claims(narrative)

    def _match_claims(self, narrative: NarrativeState) -> None:
        """Find the claims that the wordings of a narrative repeat; the surest match of each claim counts."""
        narrative.matched_at_posts = narrative.tally.posts
        narrative.matched_at_claims = self._core.claims_version
        claims = self._state.claims
        wordings: list[tuple[str, Vector]] = []
        if len(claims):
            wordings = [*self._state.narratives.wordings(narrative), *self._looked_wordings(narrative)]
        found = [(claims.entry(match.claim_id), match) for match in claims.of_narrative(wordings, k=CLAIMS_SHOWN)]
        narrative.matches = tuple(matched_claim(entry, match) for entry, match in found if entry is not None)

    def _merge_into(self, narrative_id: str, case: Case, gone: NarrativeState | None) -> Iterator[Published]:
        """Let the case of a narrative that was absorbed go on with the one that absorbed it."""
        into = self._core.cases.get(narrative_id)
        if case.state == "merged":
            return
        if into is None or into.state == "merged":
            case.narrative_id = narrative_id
            self._core.cases[narrative_id] = case
        elif gone is not None:
            yield from self._merge_cases(into, case, gone)

    def _merge_cases(self, one: Case, other: Case, narrative_of_other: NarrativeState) -> Iterator[Published]:
        narrative_id = one.narrative_id
        narrative = self._state.narratives.narratives[narrative_id]
        winner, loser = elder(one, other)
        sent_of_winner, sent_of_loser = merge_cases(winner, loser, self._core.time.greatest_at_s)
        if sent_of_loser is not None:
            yield self._alert(narrative_of_other if loser is other else narrative, loser, sent_of_loser, None)
        other_id = other.narrative_id
        self._core.cases.pop(other_id, None)
        winner.narrative_id = narrative_id
        self._core.cases[narrative_id] = winner
        if other_id in self._state.narratives.narratives:
            # Merged by a person, that narrative lives on; the loser's case stays with it, so that it opens no other.
            loser.narrative_id = other_id
            self._core.cases[other_id] = loser
        if sent_of_winner is not None:
            yield from self._published(narrative, winner, sent_of_winner, None)

    def _changed_narratives(self, *, nothing_more: bool = False) -> Iterator[Narrative | NarrativeChange]:
        live = [narrative_id for narrative_id, case in self._core.cases.items() if case.is_live()]
        for narrative in self._state.narratives.changed(live):
            posts = narrative.tally.posts
            if posts < LEAST_PUBLISHED or posts == narrative.sent_posts:
                continue
            case = self._core.cases.get(narrative.narrative_id)
            is_alerted = case is not None and case.is_live()
            if posts >= 2 * narrative.sent_posts or (is_alerted and (nothing_more or self._is_news(narrative))):
                yield from self._narrative_records(narrative, case)

    def _is_news(self, narrative: NarrativeState) -> bool:
        """Whether a narrative with an open alert has changed enough to be published again."""
        grown = abs(narrative.tally.posts - narrative.sent_posts)
        waited_s = self._core.time.greatest_at_s - narrative.sent_at_s
        return SENT_SHARE * grown >= narrative.sent_posts or waited_s >= SENT_AFTER_S

    def _published(
        self, narrative: NarrativeState, case: Case, transition: Transition, judgement: Judgement | None
    ) -> Iterator[Published]:
        yield self._alert(narrative, case, transition, judgement)
        yield from self._narrative_records(narrative, case)

    def _narrative_records(self, narrative: NarrativeState, case: Case | None) -> Iterator[Narrative | NarrativeChange]:
        if not narrative.sent_posts:
            yield self._change("birth", narrative.narrative_id, None, narrative.tally.posts)
        narrative.sent_posts = narrative.tally.posts
        narrative.sent_at_s = self._core.time.greatest_at_s
        yield self._narrative(narrative, case, "live", None)

    def _share(self, narrative: NarrativeState, now_s: float) -> float | None:
        """Share of the stream that is this narrative's now; None where none of it is."""
        window_s = self._configuration.virality.window_s
        return self._core.population.share_of_stream(narrative.tally, now_s, window_s) or None

    def _alert(
        self,
        narrative: NarrativeState,
        case: Case,
        transition: Transition,
        judgement: Judgement | None,
        changes: Sequence[str] = (),
    ) -> Alert:
        now_s = max(narrative.tally.last_at_s, case.changed_at_s)
        facts = self._facts(narrative, case, now_s)
        case.told_claims = {claim.claim_id: claim.verdict for claim in facts.claims}
        shown = self._state.narratives.exemplars(narrative)
        withheld = self._withheld(facts.named)
        claims = tuple(without_names(claim, withheld) for claim in facts.claims)
        label = self._label(narrative, withheld)
        names = withheld.found_in([*(one.text for one in shown.values()), *(claim.claim for claim in facts.claims)])
        is_named = facts.named.is_named or "named_person" in transition.kinds
        facts = msgspec.structs.replace(facts, claims=claims)
        retain_until_s = case.changed_at_s + self._configuration.life_cycle.retain_s
        return Alert(
            alert_id=case.alert_id,
            revision=transition.revision,
            epoch=self._configuration.epoch,
            transition=transition.transition,
            narrative_id=narrative.narrative_id,
            event_id=narrative.event_id,
            severity=transition.severity,
            kinds=transition.kinds,
            reasons=_reasons_without(
                reasons(
                    facts,
                    judgement,
                    case,
                    share_of_stream=self._share(narrative, now_s),
                    changes=changes,
                    unknown_claims=[one for one in case.linked_claim_ids if self._state.claims.entry(one) is None],
                ),
                withheld,
            ),
            counts=facts.counts,
            growth=facts.growth,
            forecast=facts.forecast,
            stance=narrative.tally.stance_shares(),
            stance_trend=facts.stance_trend,
            matched_claims=facts.claims,
            verdict=withheld.from_text(verdict(facts, case.review_state)),
            coordination=None if facts.alike is None else facts.alike.share,
            acting_alike=facts.alike,
            crisis_id=None if facts.crisis is None else facts.crisis.crisis_id,
            spread=_spread_without(narrative.tally.spread(), withheld),
            exemplars=tuple(Exemplar(post_id=one.post_id, why=why) for why, one in shown.items()),
            label=label,
            merged_into=case.merged_into,
            data_health=self._data_health(narrative.tally),
            model=self._configuration.embedding_space,
            config_hash=config_hash(self._configuration),
            first_seen=_at(narrative.tally.first_at_s),
            detected_at=_at(case.opened_at_s),
            changed_at=_at(case.changed_at_s),
            review=_review_without(case.review(), withheld),
            handling=Handling(
                contains_named_person=is_named or bool(names) or PLACEHOLDER in label,
                possibly_minor=bool(facts.named.minors) or not set(names).isdisjoint(withheld.minors),
                retain_until=_at(retain_until_s),
            ),
        )

    def _narrative(
        self,
        narrative: NarrativeState,
        case: Case | None,
        state: Literal["live", "merged", "dead"],
        merged_into: str | None,
    ) -> Narrative:
        facts = self._facts(narrative, case, narrative.tally.last_at_s)
        bucket_s, buckets = timeline(narrative.tally, facts.growth, self._configuration.virality.window_s)
        shown = self._state.narratives.exemplars(narrative) if state == "live" else {}
        withheld = self._withheld(facts.named)
        minors = Withheld(withheld.minors)
        texts = [*(one.text for one in shown.values()), *(claim.claim for claim in facts.claims)]
        return Narrative(
            narrative_id=narrative.narrative_id,
            event_id=narrative.event_id,
            label=self._label(narrative, withheld),
            state=state,
            merged_into=merged_into,
            micro_clusters=len(narrative.members),
            counts=facts.counts,
            growth=facts.growth,
            stance=narrative.tally.stance_shares(),
            stance_trend=facts.stance_trend,
            verdict=verdict(facts, case.review_state if case else "unreviewed"),
            matched_claims=tuple(without_names(claim, minors) for claim in facts.claims),
            incitement_share=facts.inciting.share,
            exemplars=tuple(
                NarrativeExemplar(
                    post_id=one.post_id,
                    why=why,
                    text=minors.from_text(one.text),
                    platform=one.platform,
                    created_at=_at(one.at_s),
                    indicators=one.indicators,
                )
                for why, one in shown.items()
            ),
            timeline_bucket_s=bucket_s,
            timeline=buckets,
            spread=narrative.tally.spread(),
            first_seen=_at(narrative.tally.first_at_s),
            last_seen=_at(narrative.tally.last_at_s),
            alert_id=case.alert_id if case and case.revision else None,
            why_now=why_now(facts.counts, facts.growth),
            incitement=facts.inciting,
            forecast=facts.forecast if state == "live" else None,
            withheld_names=tuple(name for name in withheld.found_in(texts) if name not in withheld.minors),
            possibly_minor=bool(facts.named.minors) or any(minors.is_in(text) for text in texts),
            acting_alike=facts.alike,
        )

    def _withheld(self, named: NamedPersons) -> Withheld:
        """Names that what is published of a narrative must not show: those told anywhere, and its own."""
        everywhere = self._state.narratives.withheld(self._configuration.named_persons)
        return everywhere.with_names(named.names, minors=named.minors)

    def _ended(self, change: Change, gone: NarrativeState) -> Narrative:
        """Write the last word on a narrative: what it merged into, or that it died; its texts are gone."""
        case = self._core.cases.get(gone.narrative_id)
        return self._narrative(gone, case, "merged" if change.change == "merge" else "dead", change.other_id)

    def _change(
        self, change: Literal["birth", "merge", "split", "death"], narrative_id: str, other_id: str | None, posts: int
    ) -> NarrativeChange:
        return NarrativeChange(
            change=change,
            narrative_id=narrative_id,
            other_id=other_id,
            posts=posts,
            at=_at(self._core.time.greatest_at_s),
        )

    def _label(self, narrative: NarrativeState, withheld: Withheld) -> str:
        """Name a narrative by the wordings of its largest micro-clusters, without the names of accused persons."""
        micros = sorted(self._state.narratives.live_members(narrative), key=lambda one: (-one.tally.posts, one.place))
        language = max(narrative.tally.languages, key=lambda lang: narrative.tally.languages[lang], default=None)
        texts = tuple(itertools.islice((text for micro in micros for text in told_by(micro)), 5))
        return self._state.narratives.label(
            narrative.narrative_id, (texts, language, withheld.names), lambda: _label_of(texts, language, withheld)
        )

    def _data_health(self, tally: Tally) -> DataHealth:
        time = self._core.time
        watermark_at_s = time.watermark_at_s if time.watermark_at_s > BEGINNING_S else time.greatest_at_s
        return DataHealth(
            watermark_at=_at(watermark_at_s),
            behind_s=round(time.greatest_at_s - watermark_at_s, 3),
            late_ratio=round(tally.late / max(1, tally.posts), 4),
            unjudged_ratio=round(tally.unjudged / max(1, tally.posts), 4),
            silent_partitions=sum(one.idle for one in time.partitions.values()),
            delay_s=self._core.delay_s,
        )

    def _drop_cases(self) -> None:
        """Forget closed cases past the cap, the longest closed first."""
        over = len(self._core.cases) - self._configuration.life_cycle.live_alerts
        if over <= 0:
            return
        closed = [case for case in self._core.cases.values() if not case.is_live()]
        closed.sort(key=lambda case: (case.changed_at_s, case.alert_id))
        for case in closed[:over]:
            del self._core.cases[case.narrative_id]
            narrative = self._state.narratives.narratives.get(case.narrative_id)
            if narrative is not None:
                narrative.sent_revision = max(narrative.sent_revision, case.revision)
            self._state.leave_out("closed_alert_cap")


def without_names(claim: MatchedClaim, withheld: Withheld) -> MatchedClaim:
    """Take names out of a claim: of its text, and of addresses that spell them out."""
    if not withheld.names:
        return claim
    text = withheld.from_text(claim.claim)
    url = None if claim.url and withheld.is_in(claim.url) else claim.url
    claim_id = claim.claim_id
    if withheld.is_in(claim_id):
        claim_id = f"withheld-{hashlib.blake2b(claim_id.encode(), digest_size=8).hexdigest()}"
    return msgspec.structs.replace(
        claim,
        claim=text,
        url=url,
        claim_id=claim_id,
        rating=withheld.from_text(claim.rating),
        publisher=claim.publisher and withheld.from_text(claim.publisher),
        shared=tuple(dict.fromkeys(withheld.from_text(word, strictly=True) for word in claim.shared)),
        differing=tuple(dict.fromkeys(withheld.from_text(word, strictly=True) for word in claim.differing)),
    )


def _label_of(texts: Sequence[str], language: str | None, withheld: Withheld) -> str:
    if not withheld.names:
        return label_of(texts, language)
    plain = [normalise(clean(text)) for text in texts]
    named = [withheld.from_text(text) for text in plain]
    label = withheld.from_text(label_of([one.replace(PLACEHOLDER, " ") for one in named], language), strictly=True)
    return label if PLACEHOLDER in label or named == plain else f"{label} {PLACEHOLDER}"


def _reasons_without(whole: tuple[Reason, ...], withheld: Withheld) -> tuple[Reason, ...]:
    """Take names out of the words of reasons, whatever they quote."""
    return tuple(msgspec.structs.replace(reason, words=withheld.from_text(reason.words)) for reason in whole)


def _spread_without(spread: Spread, withheld: Withheld) -> Spread:
    """Take names out of the names of communities."""
    if not any(withheld.is_in(name) for name in spread.communities):
        return spread
    communities: dict[str, int] = {}
    for name, posts in spread.communities.items():
        shown = withheld.from_text(name)
        communities[shown] = communities.get(shown, 0) + posts
    return msgspec.structs.replace(spread, communities=communities)


def _review_without(review: Review, withheld: Withheld) -> Review:
    """Take names out of what an analyst noted."""
    note = review.note and withheld.from_text(review.note)
    return review if note == review.note else msgspec.structs.replace(review, note=note)


def _void_ends(case: Case, facts: Facts) -> bool:
    """Whether an alert on an information void has its answer: a fact-check, or a credible source."""
    answered = facts.claim_matched or facts.credible_posts > 0
    return case.is_live() and "information_void" in case.kinds and answered


def first_look(indexed: IndexedPost, at_s: float) -> Looked:
    """What the first look said of a post that is looked at again."""
    stance = indexed.mark.stance or (0, 0, 0, 0, 0)
    return Looked(
        micro_id=indexed.micro_id or "",
        asked_at_s=at_s,
        first_inciting=indexed.mark.inciting,
        first_doubting=stance[1] + stance[2] >= MILLI // 2,
        first_evidence=indexed.mark.evidence,
    )


def _at(at_s: float) -> datetime:
    """Whole milliseconds, so that a record reads the same wherever it is written."""
    return datetime.fromtimestamp(round(at_s, 3), UTC)
