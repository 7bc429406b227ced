"""A story told in records: one rumour that pages, a call to violence, a joke, a named person, a hostile text."""

import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from detectors.records import (
    ActingAlike,
    Alert,
    Counts,
    DataHealth,
    Exemplar,
    Forecast,
    Growth,
    Handling,
    MatchedClaim,
    Narrative,
    NarrativeChange,
    NarrativeExemplar,
    Reason,
    Review,
    Spread,
    Stance,
    StanceTrend,
    TimelineBucket,
)
from detectors.words import alike_words
from streams.console.board import Board

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPENED = START + timedelta(minutes=95)
NOW = START + timedelta(minutes=130)

HOSTILE = (
    "<script>window.owned = 1</script><img src=x onerror='window.owned = 2'>\"'>{{ 7 * 7 }} "
    "</bdi></div><svg onload=window.owned=3> \u202egnp.exe\u202c \x07 javascript:window.owned=4 "
    "https://evil.example/steal?x=1 " + "W" * 300 + " " + "long " * 1900
)
"""Script, markup that closes ours, a template, reversed text, a control character, a long word, 10,000 characters."""


class Story:
    """Makes records that differ from a plain one only where the test says so."""

    start, opened, now, hostile = START, OPENED, NOW, HOSTILE

    claim = MatchedClaim(
        claim_id="https://facts.example/123",
        claim="The water of Brunnby was poisoned by workers of the plant.",
        url="https://facts.example/123",
        publisher="Facts Example",
        rating="False",
        verdict="false",
        shared=("brunnby", "poisoned"),
        differing=("only the claim has 2019",),
        similarity=0.81,
        probability=0.93,
    )

    alike = ActingAlike(
        accounts=14,
        looked_at=60,
        share=0.2333,
        low=0.144,
        high=0.354,
        times=4,
        by_chance=0.3,
        window_s=30.0,
        effective_accounts=256.0,
    )

    def alert(self, alert_id="a-water", **changes):
        narrative_id = changes.pop("narrative_id", alert_id.replace("a-", "n-"))
        plain = Alert(
            alert_id=alert_id,
            revision=3,
            epoch=1,
            transition="opened",
            narrative_id=narrative_id,
            event_id=changes.pop("event_id", f"e-{narrative_id}"),
            severity="page",
            kinds=("false_narrative", "viral"),
            reasons=(
                Reason(
                    signal="burst",
                    measured=37.0,
                    expected=2.1,
                    words="37 posts by 29 accounts in 10 minutes; 2.1 is typical for narratives of this age",
                ),
                Reason(
                    signal="claim_rated_false",
                    measured=0.93,
                    expected=0.5,
                    words="repeats a claim rated “False” by Facts Example (probability of the match 0.93)",
                ),
            ),
            counts=Counts(
                posts=412,
                authors=287,
                reshares=230,
                replies=61,
                late=2,
                window_s=600,
                window_posts=37,
                window_authors=29,
            ),
            growth=Growth(
                state="bursting",
                velocity_per_s=0.06,
                expected=2.1,
                basis="narratives_of_this_age",
                burst_z=12.0,
                doubling_time_s=240.0,
            ),
            forecast=Forecast(posts=1400.0, low=700.0, high=3100.0),
            stance=Stance(support=0.55, deny=0.2, query=0.15, report=0.06, comment=0.04),
            matched_claims=(self.claim,),
            verdict="contradicted by a fact-check",
            coordination=None,
            spread=Spread(
                platforms={"bluesky": 300, "mastodon": 112},
                languages={"en": 390, "sv": 22},
                communities={"brunnby-news": 120, "r/local": 44},
            ),
            exemplars=(Exemplar(post_id="p1", why="earliest"),),
            label="water poisoned plant brunnby",
            merged_into=None,
            data_health=DataHealth(watermark_at=NOW, behind_s=2.0, late_ratio=0.004, silent_partitions=0),
            model="all-MiniLM-L6-v2@c9745ed1",
            config_hash="0a1b2c3d4e5f",
            first_seen=START,
            detected_at=OPENED,
            changed_at=OPENED,
            review=Review(),
            handling=Handling(contains_named_person=False, retain_until=NOW + timedelta(days=90)),
        )
        return msgspec.structs.replace(plain, **changes)

    def narrative(self, narrative_id="n-water", **changes):
        like = self.alert("a-water")
        plain = Narrative(
            narrative_id=narrative_id,
            event_id=f"e-{narrative_id}",
            label=like.label,
            state="live",
            merged_into=None,
            micro_clusters=7,
            counts=like.counts,
            growth=like.growth,
            stance=like.stance,
            stance_trend=StanceTrend(
                window_s=600,
                posts=30,
                posts_before=200,
                recent=Stance(support=0.31, deny=0.52, query=0.1, report=0.07),
                before=Stance(support=0.63, deny=0.14, query=0.13, report=0.1),
            ),
            verdict=like.verdict,
            matched_claims=like.matched_claims,
            incitement_share=0.0,
            exemplars=(
                self.exemplar("p1", "earliest", "They say the water in Brunnby is poisoned, do NOT drink it"),
                self.exemplar(
                    "p2", "most_shared", "Plant workers poisoned our water!! share https://bad.example/x.html"
                ),
                self.exemplar("p3", "dissenting", "The council tested the water this morning. It is fine."),
            ),
            timeline_bucket_s=120,
            timeline=tuple(
                TimelineBucket(
                    at=START + timedelta(minutes=2 * i),
                    posts=max(0, round(60 * math.exp(-(((i - 52) / 7) ** 2)) + i % 3)),
                    expected=2.1,
                )
                for i in range(65)
            ),
            spread=like.spread,
            first_seen=START,
            last_seen=NOW,
            alert_id="a-water",
            why_now="37 posts by 29 accounts in 10 minutes; 2.1 is typical for narratives of this age",
        )
        return msgspec.structs.replace(plain, **changes)

    def exemplar(self, post_id, why, text, **changes):
        plain = NarrativeExemplar(post_id=post_id, why=why, text=text, platform="bluesky", created_at=START)
        return msgspec.structs.replace(plain, **changes)

    def records(self):
        """Every record of the story, in the order of the topics: alerts, narratives, revisions, changes."""
        alerts = [
            self.alert(event_id="e-water"),
            self.alert(
                "a-shops",
                event_id="e-water",
                severity="notice",
                kinds=("viral",),
                verdict="unverified",
                matched_claims=(),
                label="shops close brunnby water run",
                detected_at=OPENED + timedelta(minutes=12),
                review=Review(state="acknowledged", by="Ann", at=NOW),
            ),
            self.alert(
                "a-march",
                kinds=("incitement", "viral"),
                verdict="unverified",
                matched_claims=(),
                label="burn depot tonight eight harbour street",
                detected_at=OPENED + timedelta(minutes=3),
                review=Review(by="Kim", at=NOW),  # a word that is no judgement: a claim linked, an alert snoozed
            ),
            self.alert(
                "a-named",
                severity="notice",
                kinds=("named_person", "viral"),
                verdict="unverified",
                label="Jane Roe attacker",
                handling=Handling(contains_named_person=True, retain_until=NOW),
            ),
            self.alert(
                "a-suspect",
                severity="notice",
                kinds=("named_person", "viral"),
                verdict="unverified",
                matched_claims=(),
                label="attacker dance hall brunnby [name withheld]",
                acting_alike=self.alike,
                coordination=self.alike.share,
                crisis_id="crisis-brunnby",
                handling=Handling(contains_named_person=True, retain_until=NOW),
                reasons=(
                    Reason(
                        signal="private_person_named",
                        measured=31.0,
                        words="31 accounts (22 % of the posts) name a private person as the one who did it; the name is"
                        " withheld",
                    ),
                    Reason(signal="acting_alike", measured=0.23, words=alike_words(self.alike)),
                    Reason(
                        signal="crisis",
                        measured=0.5,
                        expected=1.0,
                        words="under crisis crisis-brunnby, declared by ana: thresholds at 50 % of the usual ones; with"
                        " those it would be watch",
                    ),
                ),
            ),
            self.alert(
                "a-minor",
                severity="notice",
                kinds=("named_person", "viral"),
                verdict="unverified",
                matched_claims=(),
                label="pupil accused of the fire [name withheld]",
                handling=Handling(contains_named_person=True, possibly_minor=True, retain_until=NOW),
            ),
            self.alert(
                "a-joke",
                severity="watch",
                kinds=("viral",),
                verdict="unverified",
                matched_claims=(),
                label="goose traffic warden",
            ),
            self.alert(
                "a-old",
                severity="watch",
                kinds=("viral",),
                transition="cleared",
                verdict="unverified",
                label="bridge closed fog ferry",
                changed_at=OPENED - timedelta(hours=1),
            ),
            self.alert(
                "a-wrong",
                severity="notice",
                kinds=("viral",),
                transition="retracted",
                verdict="unverified",
                label="festival line-up rumours",
                changed_at=OPENED - timedelta(minutes=30),
                review=Review(state="dismissed", by="Ann", at=OPENED),
            ),
        ]
        narratives = [
            self.narrative(event_id="e-water"),
            self.narrative(
                "n-joke", label="goose traffic warden", verdict="unverified", matched_claims=(), alert_id="a-joke"
            ),
            self.narrative(
                "n-suspect",
                label="attacker dance hall brunnby [name withheld]",
                verdict="unverified",
                matched_claims=(msgspec.structs.replace(self.claim, claim="Egon Falk attacked the dance hall"),),
                alert_id="a-suspect",
                withheld_names=("Egon Falk",),
                acting_alike=self.alike,
                exemplars=(
                    self.exemplar("p7", "earliest", "The attacker is Egon Falk, share this before they delete it"),
                    self.exemplar("p8", "dissenting", "Stop it. Falk has nothing to do with it, police say."),
                ),
            ),
            self.narrative(
                "n-minor",
                label="pupil accused of the fire [name withheld]",
                verdict="unverified",
                matched_claims=(),
                alert_id="a-minor",
                possibly_minor=True,
                exemplars=(self.exemplar("p9", "earliest", "[name withheld], 15, lit the fire at the school"),),
            ),
            self.narrative("n-named", label="Jane Roe attacker", verdict="unverified", alert_id="a-named"),
        ]
        revisions = [
            self.alert(event_id="e-water", revision=1, severity="watch", changed_at=OPENED - timedelta(minutes=8)),
            self.alert(event_id="e-water", revision=2, transition="updated", changed_at=OPENED - timedelta(minutes=2)),
            self.alert(event_id="e-water"),
        ]
        changes = [
            NarrativeChange(change="birth", narrative_id="n-water", other_id=None, posts=3, at=START),
            NarrativeChange(change="merge", narrative_id="n-water", other_id="n-tap", posts=60, at=OPENED),
        ]
        return alerts, narratives, revisions, changes

    def board(self, wall_s):
        """A board that has read it all and sees entries arrive."""
        board = Board(wall_s)
        board.start_over()
        alerts, narratives, revisions, changes = self.records()
        for put, records in (
            (board.put_alert, alerts),
            (board.put_narrative, narratives),
            (board.put_revision, revisions),
            (board.put_change, changes),
        ):
            for record in records:
                put(record)
        board.put_journal_tail(5000, event_time_s=NOW.timestamp(), written_at_s=wall_s())
        board.caught_up()
        return board


@pytest.fixture
def story():
    return Story()
