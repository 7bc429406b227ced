"""What the journal holds: one ordered log a shard, and everything the monitor knows comes from it."""

from msgspec import Struct

from detectors.forecast_weights import ForecastWeights
from detectors.policy import Configuration
from detectors.records import Alert, Claim, Crisis, Deletion, Feedback, PostKind, Stance


class Origin(Struct, frozen=True, array_like=True):
    """Where a record came from. With it, a repeat is recognised exactly."""

    topic: str
    partition: int
    offset: int


class Vector(Struct, frozen=True, kw_only=True):
    """The two channels of one text, fixed once, when it is written to the journal.

    Each channel is int8, shape (dimensions,), to be read as a direction: the scale does not change a cosine, but
    lets a reader restore the unit vector (`value * scale`). On the wire the bytes are base64.
    """

    space: str
    """Name of the embedding space, `model@revision`; vectors of two spaces are never compared."""
    dense: bytes
    dense_scale: float
    lexical: bytes
    lexical_scale: float


class Indicator(Struct, frozen=True):
    """A surface form in a text that people look for, as found: kind and the words themselves."""

    kind: str
    """One of `call_to_act`, `place`, `time`, `target`, `weapon`, `glorification`, `dehumanisation`."""
    words: str


class Naming(Struct, frozen=True):
    """A person whom a text names in an accusation, or in the doubt or denial of one."""

    name: str
    """As written."""
    role: str
    """What the person is accused of being or doing, in the words of the text."""
    before: str = ""
    """Office before the name ("president"), else the word before it."""
    by_officials: bool = False
    """The same sentence gives police, a court or another authority as the source."""
    doubted: bool = False
    """The same sentence asks or denies."""
    minor: bool = False
    """The same sentence speaks of an age below 18, or of a boy, girl, pupil."""


class ScoredPost(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="post", tag_field="entry"):
    """A post with everything that text and vector alone can tell."""

    origin: Origin
    post_id: str
    platform: str
    created_at_s: float
    author_id: str
    text: str
    kind: PostKind = "post"
    parent_id: str | None = None
    root_id: str | None = None
    lang: str | None = None
    followers: int | None = None
    urls: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    community: str | None = None
    place: str | None = None
    ingested_at_s: float
    scored_at_s: float = 0.0
    """Wall clock when it was scored, of a live source; 0 where that says nothing."""
    speed: float = 1.0
    """Event seconds a second at which the source is played: 1 live, N in a replay, 0 at maximum speed."""
    vector: Vector | None = None
    """None where there is nothing to embed (an empty text)."""
    incitement: float = 0.0
    """Calibrated probability, 0 to 1."""
    classes: tuple[str, ...] = ()
    """Classes of the taxonomy (`taxonomy.CLASSES`) that it is of."""
    judged: bool = True
    """False in a language that the incitement heads do not cover: its score of 0 then says nothing."""
    indicators: tuple[Indicator, ...] = ()
    stance: Stance = Stance(comment=1.0)
    hedged: bool = False
    """It passes on what it says without vouching for it."""
    namings: tuple[Naming, ...] = ()


class ClaimEntry(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="claim", tag_field="entry"):
    """A fact-check with its vectors, or (`claim` None) its withdrawal."""

    origin: Origin
    claim_id: str
    claim: Claim | None = None
    vector: Vector | None = None
    """Of `claimReviewed`."""
    title_vector: Vector | None = None
    """Of `name`, where it has one."""


class FeedbackEntry(Struct, frozen=True, kw_only=True, tag="feedback", tag_field="entry"):
    """A person's word."""

    origin: Origin
    feedback: Feedback


class CrisisEntry(Struct, frozen=True, kw_only=True, tag="crisis", tag_field="entry"):
    """A declaration or its end."""

    origin: Origin
    crisis: Crisis


class DeletionEntry(Struct, frozen=True, kw_only=True, tag="deletion", tag_field="entry"):
    """A request to forget."""

    origin: Origin
    deletion: Deletion


class ConfigurationEntry(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="configuration", tag_field="entry"):
    """Policy, parameters, weights and embedding space in force from here on."""

    origin: Origin
    configuration: Configuration
    forecast: ForecastWeights | None = None
    """Trees that forecast sizes; None leaves it to a factor by age."""


class Tick(Struct, frozen=True, kw_only=True, tag="tick", tag_field="entry"):
    """Time passes without posts: event time has reached `now_at_s`; partitions without news since are idle."""

    now_at_s: float


class SourceEnd(Struct, frozen=True, kw_only=True, tag="source_end", tag_field="entry"):
    """The source of one partition has nothing more: it no longer holds the watermark back."""

    origin: Origin


class LookAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="look_answer", tag_field="entry"):
    """What a heavier model says of one post, asked for by the monitor; of each `look_id` the first answer counts."""

    origin: Origin
    """Of the request, on the topic `looks`."""
    look_id: str
    post_id: str
    model: str
    """Name of the checker that answers (`detectors.looks.Checker.model`)."""
    vector: Vector | None = None
    """Of the full model; it finds claims and never moves a centroid. None where that model took the first look."""
    incitement: float
    """Calibrated probability, 0 to 1."""
    indicators: tuple[Indicator, ...] = ()
    stance: Stance | None = Stance(comment=1.0)
    """None where that of the first look stands."""


class Skip(Struct, frozen=True, kw_only=True, tag="skip", tag_field="entry"):
    """The entry at `offset` crashed the monitor three times and is left out, by every reader alike.

    Readers put it in the place of that entry, too (`detectors.skipped`).
    """

    offset: int
    why: str


class OpenAlert(Struct, frozen=True, kw_only=True, tag="open_alert", tag_field="entry"):
    """An alert that was open when the state that knew its narrative was lost (`detectors.inherited`)."""

    origin: Origin
    alert: Alert
    """Its last revision."""
    wordings: tuple[Vector, ...] = ()
    """Of the posts that showed what its narrative said, where they are still known."""


Seeded = ConfigurationEntry | Tick | ClaimEntry | CrisisEntry | DeletionEntry | OpenAlert


class Seed(Struct, frozen=True, kw_only=True, tag="seed", tag_field="entry"):
    """What a state began with that had lost the journal before `before`; the whole set counts, or nothing of it.

    Every reader that begins there folds the set first (`detectors.seeded`). In its own place it says nothing.
    """

    before: int
    """Offset at which the journal began then."""
    number: int
    """Place in the set, from 0."""
    of: int
    """Size of the set."""
    told: Seeded


Entry = (
    ScoredPost
    | ClaimEntry
    | FeedbackEntry
    | CrisisEntry
    | DeletionEntry
    | ConfigurationEntry
    | Tick
    | SourceEnd
    | LookAnswer
    | OpenAlert
    | Seed
    | Skip
)
