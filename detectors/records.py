"""What travels on the topics: posts, claims, feedback, crises and deletions in; alerts and narratives out.

Every record is a frozen `msgspec.Struct`, decoded once at the edge. Times on the wire are RFC 3339; inside the
fold they are epoch seconds, in fields that end in `_at_s`. Unknown fields are ignored; an absent
`schema_version` means 1.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

SCHEMA_VERSION = 1

MAX_RECORD_BYTES = 64 * 1024
"""Larger records go to the dead letters, whatever they hold."""

MAX_TEXT_BYTES = 16 * 1024
"""Longest text of one post, UTF-8 encoded."""

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
AwareTime = Annotated[datetime, Meta(tz=True)]
Ratio = Annotated[float, Meta(ge=0.0, le=1.0)]

PostKind = Literal["post", "reply", "quote", "reshare"]


class Post(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One published message, as it arrives on `posts`; `author_id` is already a keyed hash."""

    schema_version: int = SCHEMA_VERSION
    post_id: Identifier
    platform: Annotated[str, Meta(min_length=1, max_length=64)]
    created_at: AwareTime
    author_id: Identifier
    text: str
    kind: PostKind = "post"
    parent_id: Identifier | None = None
    root_id: Identifier | None = None
    lang: Annotated[str, Meta(max_length=35)] | None = None
    followers: Annotated[int, Meta(ge=0)] | None = None
    urls: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    media: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    community: Annotated[str, Meta(max_length=256)] | None = None
    place: Annotated[str, Meta(max_length=256)] | None = None
    ingested_at: AwareTime | None = None

    @property
    def key(self) -> str:
        """Partition key: a conversation stays in order."""
        return self.root_id or self.parent_id or self.post_id


class Rating(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """schema.org `Rating`; scales differ between publishers, the words in `alternate_name` are theirs."""

    alternate_name: str | None = None
    rating_value: float | str | None = None
    best_rating: float | str | None = None
    worst_rating: float | str | None = None


class Publisher(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """schema.org `Organization` or `Person`, as much of it as we show."""

    name: str | None = None
    url: str | None = None


class Claim(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A published fact-check, schema.org `ClaimReview`; only `claimReviewed` and one of `@id`, `url` must be there."""

    id: str | None = field(name="@id", default=None)
    url: str | None = None
    claim_reviewed: Annotated[str, Meta(min_length=1, max_length=8192)] = field(name="claimReviewed")
    name: str | None = None
    date_published: str | None = field(name="datePublished", default=None)
    author: Publisher | None = None
    review_rating: Rating | None = field(name="reviewRating", default=None)

    @property
    def claim_id(self) -> str:
        """`@id`, else `url`."""
        return self.id or self.url or ""


FeedbackWord = Literal[
    "acknowledge",
    "confirm",
    "dismiss",
    "snooze",
    "mute",
    "escalate",
    "resolve",
    "link_claim",
    "merge",
    "note",
    "removed",
    "labelled",
    "no_breach",
    "other",
]


class Feedback(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person's word on an alert or a narrative, from the console or the trust team."""

    schema_version: int = SCHEMA_VERSION
    feedback_id: Identifier
    by: Annotated[str, Meta(min_length=1, max_length=128)]
    at: AwareTime
    word: FeedbackWord
    alert_id: str | None = None
    narrative_id: str | None = None
    until: AwareTime | None = None
    claim_id: str | None = None
    into_alert_id: str | None = None
    note: Annotated[str, Meta(max_length=4096)] | None = None


CrisisScope = Literal["lang", "platform", "community", "place"]


class Crisis(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A declaration lowers thresholds within its scope until it expires; without an expiry it is refused."""

    schema_version: int = SCHEMA_VERSION
    crisis_id: Identifier
    word: Literal["declare", "stand_down"]
    by: Annotated[str, Meta(min_length=1, max_length=128)]
    why: Annotated[str, Meta(min_length=1, max_length=4096)]
    at: AwareTime
    scope: dict[str, str] = {}
    """What it is about, by `CrisisScope`; several values set apart by commas. Empty: everything."""
    threshold_ratio: Ratio = 1.0
    """Thresholds under it, as a share of the usual ones (`crises.LEAST_RATIO` at least)."""
    expires_at: AwareTime | None = None


class Deletion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to forget: one post, or everything by one (hashed) author."""

    schema_version: int = SCHEMA_VERSION
    post_id: Identifier | None = None
    author_id: Identifier | None = None
    requested_by: Annotated[str, Meta(min_length=1, max_length=128)]
    at: AwareTime


Severity = Literal["watch", "notice", "page"]
SEVERITIES: tuple[Severity, ...] = ("watch", "notice", "page")

Kind = Literal["incitement", "named_person", "false_narrative", "information_void", "viral"]
KINDS: tuple[Kind, ...] = ("incitement", "named_person", "false_narrative", "information_void", "viral")
"""In the fixed order in which the first one names the series of an open alert."""

Transition = Literal["opened", "updated", "peaked", "cleared", "resurged", "merged", "retracted"]

STANCES = ("support", "deny", "query", "report", "comment")


class Stance(Struct, frozen=True, kw_only=True):
    """Attitude to the claim, each 0 to 1. Of one post: weights that sum to 1. Of a narrative: shares of its posts."""

    support: float = 0.0
    deny: float = 0.0
    query: float = 0.0
    report: float = 0.0
    comment: float = 0.0


class StanceTrend(Struct, frozen=True, kw_only=True):
    """How the attitudes of a narrative's posts shift: shares in the last `window_s` seconds, and in all before."""

    window_s: int
    posts: int
    """Of the window, those that say something."""
    posts_before: int
    recent: Stance
    before: Stance


class Reason(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an alert fired: a signal, what was measured, what was expected, and the same in words."""

    signal: str
    measured: float
    expected: float | None = None
    words: str


class Counts(Struct, frozen=True, kw_only=True):
    """Of the whole narrative, and of the last window of `window_s` seconds."""

    posts: int
    authors: int
    reshares: int
    replies: int
    late: int
    window_s: int
    window_posts: int
    window_authors: int


class Growth(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How fast, against what was expected. `basis` says whether the expectation is the narrative's own history."""

    state: Literal["insufficient_data", "steady", "bursting", "falling"]
    velocity_per_s: float
    expected: float
    basis: Literal["own_history", "narratives_of_this_age"]
    burst_z: float
    doubling_time_s: float | None = None
    reproduction_number: float | None = None
    """Posts that each post brings, as far as the last minutes tell; from 1 on it grows by itself."""
    reproduction_low: float | None = None
    reproduction_high: float | None = None
    """80 % interval of it."""
    rising_for_s: float | None = None
    """How long it has been rising (CUSUM over minutes); None where it is not."""
    times: float | None = None
    """Posts of the window over those of the window two windows before, where that is a rise."""
    accelerating: bool = False


class Forecast(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Posts that the narrative will have in a week, with an 80 % interval."""

    posts: float
    low: float
    high: float
    basis: Literal["trained", "factor_by_age"] = "trained"
    """`factor_by_age` where no trained weights know narratives of this age."""


class MatchedClaim(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact-checked claim that the narrative repeats."""

    claim_id: str
    claim: str
    url: str | None = None
    publisher: str | None = None
    rating: str
    verdict: Literal["false", "mixed", "true", "unknown"]
    similarity: float
    probability: float
    satire: bool = False
    """The fact-checkers label it as satire."""
    linked: bool = False
    """A person said that it is this claim; nothing was compared."""
    shared: tuple[str, ...] = ()
    """Names, numbers and rare words that the narrative shares with the claim, the rarest first."""
    differing: tuple[str, ...] = ()
    """What speaks against the match: other names, numbers or dates, or that only one of them denies."""


class Exemplar(Struct, frozen=True, kw_only=True):
    """A post that shows what the narrative says, and why it was chosen. Its text is only on `narratives`."""

    post_id: str
    why: Literal["earliest", "most_shared", "most_central", "dissenting", "indicator"]


class Spread(Struct, frozen=True, kw_only=True):
    """Posts by platform, language and community (the ten largest of each)."""

    platforms: dict[str, int]
    languages: dict[str, int]
    communities: dict[str, int]


class ActingAlike(Struct, frozen=True, kw_only=True):
    """Accounts of a narrative that act alike beyond chance: how many, never which. Fans and organisers do so too."""

    accounts: int
    """Of the `looked_at`, a uniform sample of the narrative's accounts (all, where there are few)."""
    looked_at: int
    share: float
    low: float
    high: float
    """Bounds of the share, 95 %."""
    times: int
    """How often such an account shared the same within `window_s` of one that it had met so before; the median."""
    by_chance: float
    """How often chance would do that; the median."""
    window_s: float
    effective_accounts: float
    """The narrative's accounts as they count for reach: those that act alike count for less."""


class DataHealth(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the input can be trusted, from times stamped into the entries."""

    watermark_at: datetime
    behind_s: float
    late_ratio: float
    silent_partitions: int
    delay_s: float | None = None
    """From the arrival of the last live post to its scoring: what came since is not in this alert. None: no live
    post."""
    unjudged_ratio: float = 0.0
    """Share of the posts in languages that the incitement heads do not cover: of these nobody knows."""


class Review(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last word of a person, and the trust team's outcome."""

    state: str = "unreviewed"
    by: str | None = None
    at: datetime | None = None
    note: str | None = None
    outcome: str | None = None


class Handling(Struct, frozen=True, kw_only=True):
    """How the alert may be passed on, and until when it may be kept."""

    contains_named_person: bool
    """A private person is accused in it: the name is withheld here, and stands only in texts on `narratives`."""
    possibly_minor: bool = False
    """That person may be a minor: the name is withheld on `narratives` as well."""
    retain_until: datetime


class Alert(Struct, frozen=True, kw_only=True):
    """A narrative's case, one revision of it; `alert_id` and `revision` are deterministic.

    An indicator for human review. It says nothing about any single author, and decides nothing.
    """

    schema_version: int = SCHEMA_VERSION
    alert_id: str
    revision: int
    epoch: int
    transition: Transition
    narrative_id: str
    event_id: str
    severity: Severity
    kinds: tuple[Kind, ...]
    reasons: tuple[Reason, ...]
    counts: Counts
    growth: Growth
    forecast: Forecast | None
    stance: Stance
    matched_claims: tuple[MatchedClaim, ...]
    verdict: str
    coordination: float | None
    """Share of the accounts that act alike beyond chance; None where that is not seen."""
    acting_alike: ActingAlike | None = None
    crisis_id: str | None = None
    """Declared crisis under which thresholds are lowered for it; None where there is none."""
    spread: Spread
    exemplars: tuple[Exemplar, ...]
    label: str
    merged_into: str | None
    data_health: DataHealth
    model: str
    config_hash: str
    first_seen: datetime
    detected_at: datetime
    changed_at: datetime
    review: Review
    handling: Handling
    stance_trend: StanceTrend | None = None
    """None while there is only a window, or nothing in it."""


class NarrativeExemplar(Struct, frozen=True, kw_only=True):
    """An exemplar with its text, for readers with access to texts."""

    post_id: str
    why: Literal["earliest", "most_shared", "most_central", "dissenting", "indicator"]
    text: str
    platform: str
    created_at: datetime
    indicators: tuple[str, ...] = ()


class TimelineBucket(Struct, frozen=True, kw_only=True):
    """Posts of a narrative in one bucket of event time, and how many were expected."""

    at: datetime
    posts: int
    expected: float


class IncitementShare(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much of a narrative reads as incitement: share, interval, trend and reach.

    An indicator for people: a text alone cannot say whether it incites.
    """

    posts: int = 0
    """Posts that read as incitement."""
    judged: int = 0
    """Posts that the heads could judge; the shares are of these."""
    unjudged: int = 0
    """Posts in languages that the heads do not cover."""
    share: float = 0.0
    low: float = 0.0
    high: float = 0.0
    """95 % interval of the share (Wilson 1927), for the number of posts alone."""
    evidence: float = 0.0
    """By the scores of all judged posts: log of how much likelier they are if a fifth incites than if none does. It
    tells narratives with few inciting posts apart better than the share does."""
    window_share: float = 0.0
    """Of the posts of the last window: above `share` while it grows."""
    authors: int = 0
    """Distinct authors of these posts."""
    classes: dict[str, int] = {}
    """Posts of each class of the taxonomy, those that were found; a post may be of several, or of none that incites."""


class Narrative(Struct, frozen=True, kw_only=True):
    """The present state of a narrative (topic `narratives`, compacted, holds text).

    It is published when the narrative has doubled, and with every revision of its alert; while that is open also when
    it has grown by a tenth, else after five minutes (event time).
    """

    schema_version: int = SCHEMA_VERSION
    narrative_id: str
    event_id: str
    label: str
    state: Literal["live", "merged", "dead"]
    merged_into: str | None
    micro_clusters: int
    counts: Counts
    growth: Growth
    stance: Stance
    verdict: str
    matched_claims: tuple[MatchedClaim, ...]
    incitement_share: float
    exemplars: tuple[NarrativeExemplar, ...]
    timeline_bucket_s: int
    timeline: tuple[TimelineBucket, ...]
    spread: Spread
    first_seen: datetime
    last_seen: datetime
    alert_id: str | None
    why_now: str
    forecast: Forecast | None = None
    stance_trend: StanceTrend | None = None
    withheld_names: tuple[str, ...] = ()
    """Names of accused private persons in its texts, for readers to take out before they show a text. Empty where one
    may be a minor: then the texts hold a placeholder already."""
    possibly_minor: bool = False
    acting_alike: ActingAlike | None = None
    incitement: IncitementShare = IncitementShare()


class NarrativeChange(Struct, frozen=True, kw_only=True):
    """Birth, merge, split or death of a narrative (topic `narrative-history`, append-only, no text)."""

    schema_version: int = SCHEMA_VERSION
    change: Literal["birth", "merge", "split", "death"]
    narrative_id: str
    other_id: str | None
    posts: int
    at: datetime


class Assignment(Struct, frozen=True, kw_only=True):
    """Where one post was put when it came, and where that is at the end of a replay."""

    post_id: str
    micro_cluster: str | None
    narrative_then: str | None
    narrative_at_end: str | None
    event_then: str | None
    event_at_end: str | None


class MicroClusterEnd(Struct, frozen=True, kw_only=True):
    """A micro-cluster died; what it belonged to last. For evaluation, not published."""

    micro_cluster: str
    narrative_id: str
    event_id: str


class Look(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request for a second look at one post of a narrative that is about to alert (topic `looks`, holds text).

    `look_id` follows from the post and from the model that is asked for, so that a request sent twice is recognised.
    """

    schema_version: int = SCHEMA_VERSION
    look_id: str
    shard: int = 0
    """Whose journal the answer goes to; set by the shell."""
    post_id: str
    narrative_id: str
    text: str
    lang: str | None = None
    is_reply: bool = False
    """Of a reply it is not kept whether it answers another reply, so it is read as an answer to the first post."""
    asked_at: datetime
    """Event time."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record that could not be used: where it came from, which field is wrong, and why."""

    topic: str
    partition: int
    offset: int
    field: str
    error: str
    value: str
    """The record itself, as UTF-8 with replacement characters, at most the first 2,000 characters."""
