"""Policy and parameters as data: what one configuration file holds, and its hash.

Every parameter has a unit in its name or docstring and an origin. A file may give any part; the rest are the
defaults below. Thresholds that decide severities are the *policy*; those that shape narratives and rates are the
*parameters*.
"""

import hashlib
import re
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from detectors.records import Kind, Ratio, Severity

Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}")


class NarrativeParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How posts become micro-clusters, narratives and events."""

    lexical_weight: Ratio = 0.5
    """Share of the squared length that the lexical channel has in the joint vector (equal: benchmarks, task N)."""
    strand_similarity: Ratio = 0.5
    """Least similarity (joint cosine, less what time takes) of a post and its strand's centroid: a first, cheap
    grouping that later steps take as given, so rather tight."""
    micro_similarity: Ratio = 0.8
    """Least joint cosine of a post and the founding wording of its micro-cluster: the same words but for a few."""
    joining_similarity: Ratio = 0.225
    """Least similarity, as the mean of that of an event's nearest strand and that of all its posts, at which a new
    strand begins in that event; .2 to .25 are about as good (three corpora; benchmarks, task N)."""
    event_similarity: Ratio = 0.13
    """Least mean similarity (average link) of the posts of one event (three corpora; benchmarks, task N)."""
    event_fading: Ratio = 0.12
    """Similarity that events lose at most by distance in the stream."""
    event_fading_posts: Count = 1400
    """Posts apart, in the stream, at which half of it is lost. Counted in posts, it fits any rate."""
    narrative_similarity: Ratio = 0.3
    """Least mean similarity (sentence channel alone) of the wordings of one narrative: a floor below HDBSCAN."""
    narrative_fading: Ratio = 0.25
    """Similarity that wordings lose at most by distance in time: of one event, one story is told at one time."""
    narrative_fading_s: Positive = 7200.0
    """Seconds between their foundings at which half of it is lost: half of a post's reshares come in 1 to 2 hours."""
    settling_s: Positive = 600.0
    """A new wording that others follow stands alone for so long, and is judged alone."""
    followed_posts: Count = 3
    """Posts from which a wording counts as followed."""
    unfollowed_s: Positive = 180.0
    """A wording that nobody followed for so long is a single voice, and is grouped."""
    regroup_changes: Count = 32
    """New micro-clusters after which all are grouped again (or a sixth of the live ones, whichever is more)."""
    regroup_after_s: Positive = 120.0
    """Event time after which they are if anything is new; later where much is live and little new (`is_due`)."""
    grouped_strands: Count = 3000
    """Strands that are grouped into events, the most recently active; bounds the cost."""
    grouped_micro_clusters: Count = 1000
    """Micro-clusters of one event that are grouped into narratives, the most recently active; bounds the cost."""
    live_micro_clusters: Count = 20000
    """Hard cap; beyond it the one idle longest dies, and is counted."""
    idle_after_s: Positive = 7 * 86400.0
    """A micro-cluster without posts for so long dies: rumours come back after days, and a thinned out event is grouped
    worse (benchmarks, task N)."""
    post_horizon_s: Positive = 48 * 3600.0
    """How long the index of posts remembers a post."""
    indexed_posts: Count = 2_000_000
    """Hard cap of the index; evictions are counted."""


class ViralityParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a narrative's growth is beyond what is normal for it."""

    window_s: Annotated[float, Meta(gt=0.0, le=3600.0)] = 600.0
    """The window in which counts are compared with expectation."""
    least_posts: Count = 12
    """Effect floor: posts in the window."""
    least_cascade_posts: Count = 15
    """Effect floor: posts in the window that share or answer one post, which they name. Many who talk of one topic in
    words of their own are a topic, not yet a narrative that spreads."""
    least_copies: Count = 40
    """Or so many posts in the window of nearly the same words that do not say what they follow: share buttons, headline
    feeds and give-aways make such copies too, so it takes more of them."""
    least_worded_posts: Count = 200
    """Or so many posts in the window, whatever their words: a rumour that everyone tells in words of their own."""
    least_authors: Count = 8
    """Effect floor: distinct authors in the narrative."""
    least_ratio: Positive = 3.0
    """Effect floor: window count over expected count."""
    burst_z: Positive = 4.0
    """Significance: standard deviations above expectation, dispersion allowed for."""
    chance_alarms: Annotated[float, Meta(gt=0.0, le=0.5)] = 0.05
    """Bursts by chance that are accepted at one time among all narratives that are watched: the more there are, the
    rarer a count must be. `burst_z` is its floor."""
    dispersion: Positive = 4.0
    """Variance over mean of real counts per window (2.5 to over 1,000 are seen; low end, the floors do the rest)."""
    baseline_half_life_s: Positive = 6 * 3600.0
    """Half-life of the narrative's own exponentially weighted baseline."""
    own_history_s: Positive = 3 * 3600.0
    """A narrative younger than this is compared with narratives of its age instead."""
    large_forecast_posts: Count = 1000
    """Forecast of the final size from which the fact `forecast_large` holds. How large is large depends on the stream:
    `emberwatch bench virality` finds by back-testing the size that gives a wanted rate of false alarms on cascades."""


class FalsehoodParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a narrative matches a fact-checked claim, when a crowd contests it, and when it is unconfirmed."""

    match_probability: Ratio = 0.5
    """Least probability at which a claim counts as matched. Some .5 % of unrelated posts reach it with one wording, so
    that a narrative, which is asked with several, stays about 1 % (benchmarks, task C2; card `weights/claims.md`)."""
    contested_share: Ratio = 0.1
    """Share of posts with own words that ask or deny, from which a narrative reads as contested."""
    contested_posts: Count = 3
    """Least number of such posts."""
    usual_doubt: Ratio = 0.05
    """Share that asks or denies in any talk, also of what nobody doubts. A narrative is contested only if so many
    doubters would come of that share in fewer than one such crowd in twenty (`contested_chance`)."""
    contested_chance: Ratio = 0.05
    """Binomial tail at the usual share, at most."""
    unconfirmed_share: Ratio = 0.25
    """Share of posts that pass it on without vouching for it ("reportedly", "may be"), reshares of such posts
    included, from which a narrative is unconfirmed by its own words: other wordings may have dropped the hedge."""
    unconfirmed_posts: Count = 5
    """Least number of such posts."""
    void_questions: Count = 5
    """Posts of the last hour that ask, from which questions mount; there must be no fewer in its second half than in
    its first."""
    satire_share: Ratio = 0.5
    """Share of posts that link to a satirical site, from which the narrative is satire that is passed on."""
    denial_led_share: Ratio = 0.5
    """Share of denial and report in the window from which growth is led by correction, and does not page."""


class SourceParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom the organisation holds for credible, and which sites are satire. Empty lists switch off what needs them."""

    credible_domains: tuple[str, ...] = ()
    """Such as `bbc.co.uk`; what is below a domain counts with it."""
    credible_accounts: tuple[str, ...] = ()
    """`PLATFORM/AUTHOR_ID`, the author as the posts name it, which is a keyed hash."""
    credible_communities: tuple[str, ...] = ()
    """`PLATFORM/COMMUNITY`."""
    satire_domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could never match a post."""
        for field in ("credible_domains", "satire_domains"):
            for domain in getattr(self, field):
                if not _DOMAIN.fullmatch(domain):
                    raise ValueError(f"{field}: {domain!r} is no domain in lower case, such as 'example.org'")
        for field in ("credible_accounts", "credible_communities"):
            for name in getattr(self, field):
                platform, _, rest = name.partition("/")
                if not (platform and rest):
                    raise ValueError(f"{field}: {name!r} is not of the form PLATFORM/NAME")
        for field in self.__struct_fields__:
            names = getattr(self, field)
            if len(set(names)) < len(names):
                raise ValueError(f"{field}: a name stands there twice")

    def count_credible(self) -> int:
        """How many credible sources are listed."""
        return len(self.credible_domains) + len(self.credible_accounts) + len(self.credible_communities)


class IncitementParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a narrative incites."""

    post_probability: Ratio = 0.5
    """Calibrated probability from which one post counts as inciting."""
    share: Ratio = 0.1
    """Share of a narrative's posts that surely incite, from which it does: the lower end of the 95 % interval of what
    was counted, less the false alarms of the head."""
    false_alarms: Ratio = 0.05
    """Share of harmless posts that the head takes for inciting, on the worse kinds of look-alikes (its model card)."""
    least_posts: Count = 3
    """Least number of inciting posts."""


PUBLIC_NAMES = (
    *("Trump", "Obama", "Biden", "Putin", "Zelensky", "Zelenskyy", "Netanyahu", "Erdogan", "Modi", "Macron", "Merkel"),
    *("Hillary Clinton", "Bill Clinton", "Kamala Harris", "George Bush", "George Soros", "Elon Musk", "Bill Gates"),
    *("Mark Zuckerberg", "Jeff Bezos", "Nigel Farage", "Boris Johnson", "Keir Starmer", "Rishi Sunak", "Sadiq Khan"),
    *("David Cameron", "Tony Blair", "Angela Merkel", "Olaf Scholz", "Friedrich Merz", "Marine Le Pen", "Xi Jinping"),
    *("Kim Jong Un", "Bashar al-Assad", "Saddam Hussein", "Osama bin Laden", "Adolf Hitler", "Joseph Stalin"),
    *("Pope Francis", "King Charles", "Prince Andrew", "Taylor Swift", "Michael Jackson", "Vladimir Putin"),
)
"""So well known that nobody takes them for private persons: a start, never complete; a policy gives its own."""

OFFICES = (
    *("president", "minister", "premier", "chancellor", "secretary", "ambassador", "senator", "sen", "governor", "gov"),
    *("mayor", "councillor", "congressman", "congresswoman", "rep", "mp", "mep", "pm", "king", "queen", "prince"),
    *("princess", "pope", "bishop", "archbishop", "ayatollah", "general", "gen", "colonel", "col", "officer", "chief"),
    *("sheriff", "commissioner", "superintendent", "judge", "justice", "prosecutor", "coach", "ceo", "chairman"),
    *("präsident", "minister", "kanzler", "bürgermeister", "président", "ministre", "maire", "presidente", "ministro"),
)
"""Words before a name that make its bearer public, in small letters."""


class NamedPersonParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a narrative names a private person as the one who did it, and who is not private."""

    least_authors: Count = 4
    """Accounts that name the person: fewer is talk."""
    least_share: Ratio = 0.1
    """Share of the narrative's posts that do."""
    public_names: tuple[str, ...] = PUBLIC_NAMES
    """Public figures; one word stands for everyone of that surname, more for one person."""
    offices: tuple[str, ...] = OFFICES
    """A name that mostly comes with one of these before it is public."""
    established_s: Positive = 7 * 86400.0
    """A name told for so long, and in `established_narratives`, no longer reads as a private person's. Its text is
    withheld all the same."""
    established_narratives: Annotated[int, Meta(ge=1, le=16)] = 8


class CoordinationParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When accounts act alike beyond chance. It never alerts: it discounts reach, and is said beside other reasons."""

    window_s: Positive = 30.0
    """Shares of the same thing within so long of one another coincide (people need longer to see and pass on)."""
    memory_s: Positive = 3600.0
    """Sharers of a thing within so long give the chance of coinciding."""
    false_discovery_rate: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.01
    """Of the accounts said to act alike, how many may do so by chance."""
    least_ratio: Positive = 3.0
    """Effect floor: coincidences with partners over those expected."""
    least_accounts: Count = 3
    """Fewer accounts are not said to act alike."""
    notable_share: Ratio = 0.1
    """Lower bound of the share of a narrative's accounts from which the fact `acting_alike` holds."""
    weight: Ratio = 0.25
    """How much an account that acts alike counts for reach."""


class LifeCycleParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hysteresis: how an alert that is open moves on."""

    peaked_after_s: Positive = 1800.0
    """Event time without a new highest window count after which an alert has peaked."""
    peaked_ratio: Ratio = 0.5
    """And the window count must be below this share of the highest."""
    cleared_after_s: Positive = 3 * 3600.0
    """Event time without burst and harm growth after which it clears."""
    update_growth_ratio: Positive = 2.0
    """An open alert is sent again when its posts have grown by this factor."""
    retain_s: Positive = 90 * 86400.0
    """How long an alert may be kept."""
    pages_per_hour: Count = 6
    """Page budget; what is beyond it is sent as `notice`, with the reason, and counted. A case with twice the accounts
    of the least of the hour's pages takes its place."""
    live_alerts: Count = 5000
    """Hard cap of alerts in the state; the longest cleared goes first, and is counted."""


class TimeParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Event time."""

    allowed_lateness_s: Positive = 120.0
    """How far the watermark stays behind the greatest trusted event time."""
    future_s: Positive = 600.0
    """A post dated further than this after `ingested_at` is a dead letter."""
    jump_s: Positive = 86400.0
    """A jump of event time beyond this needs several authors."""
    jump_authors: Count = 3
    """How many."""
    housekeeping_s: Positive = 60.0
    """Event time between two rounds of decay, peaks and clears."""


class LookParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Second looks at a few posts of narratives that are about to alert."""

    posts_per_narrative: Count = 8
    """At most so many are asked for: a heavier model costs what some fifty posts cost."""
    wait_s: Positive = 60.0
    """Event time within which an answer is waited for; then the first look alone has to do, and the alert says so."""
    remembered: Count = 20_000
    """Hard cap of looks in the state (2 KB each with its vector); the oldest goes first, and is counted."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the policy: all `when` conditions hold -> an alert of this severity and kind.

    Conditions are names of facts that the monitor establishes (see `alerts.FACTS`), or `not NAME`.
    """

    name: str
    when: tuple[str, ...]
    severity: Severity
    kind: Kind


DEFAULT_RULES = (
    Rule(
        name="false claim spreads",
        when=("spreading", "claim_rated_false", "not claim_already_paged", "not correction_led"),
        severity="page",
        kind="false_narrative",
    ),
    Rule(
        name="false claim spreads that is on an open page already",
        when=("spreading", "claim_rated_false", "claim_already_paged", "not correction_led"),
        severity="notice",
        kind="false_narrative",
    ),
    Rule(
        name="call to violence with place and time",
        when=("spreading", "incites", "call_names_place_and_time"),
        severity="page",
        kind="incitement",
    ),
    Rule(
        name="private person named as the one who did it, with incitement",
        when=("spreading", "private_person_named", "incites", "not correction_led"),
        severity="page",
        kind="named_person",
    ),
    Rule(
        name="private person named as the one who did it",
        when=("spreading", "private_person_named", "not correction_led"),
        severity="notice",
        kind="named_person",
    ),
    Rule(
        name="private person named as the one who did it, by several narratives together",
        when=("name_retold", "not correction_led"),
        severity="notice",
        kind="named_person",
    ),
    Rule(name="incitement spreads", when=("spreading", "incites"), severity="notice", kind="incitement"),
    Rule(
        name="contested while it spreads",
        when=("viral", "contested", "not correction_led"),
        severity="notice",
        kind="viral",
    ),
    Rule(
        name="unconfirmed while it spreads",
        when=("viral", "unconfirmed", "not claim_rated_true"),
        severity="notice",
        kind="viral",
    ),
    Rule(name="nobody answers", when=("information_void",), severity="notice", kind="information_void"),
    Rule(name="spreads", when=("viral",), severity="watch", kind="viral"),
)
"""Severe first; the first rule that holds gives the severity, every rule that holds gives its kind.

A rumour is told by several narratives; its claim pages once, and again when that page has ended and it still spreads.
A person named pages only among calls to violence. By itself it is a notice: "identified as X" reads the same in a
rumour and in the news an hour later, and on the stream of task E a page for it would have been one for a true story.
"""


class Configuration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides an alert, as one file and as one entry of the journal."""

    schema_version: int = 1
    rules: tuple[Rule, ...] = DEFAULT_RULES
    narratives: NarrativeParameters = NarrativeParameters()
    virality: ViralityParameters = ViralityParameters()
    falsehood: FalsehoodParameters = FalsehoodParameters()
    sources: SourceParameters = SourceParameters()
    incitement: IncitementParameters = IncitementParameters()
    named_persons: NamedPersonParameters = NamedPersonParameters()
    coordination: CoordinationParameters = CoordinationParameters()
    life_cycle: LifeCycleParameters = LifeCycleParameters()
    time: TimeParameters = TimeParameters()
    looks: LookParameters = LookParameters()
    look_model: str = ""
    """Model that takes second looks; set by the shell, empty where there is none."""
    embedding_space: str = ""
    """Set by the shell from the model that it loaded; a file does not give it."""
    weights_hash: str = ""
    """Hash of the scoring weights; set by the shell."""
    code_version: str = ""
    """Version of this project; set by the shell."""
    source_partitions: Count = 1
    """Partitions of `posts`; the watermark waits until each was heard of. Set by the shell."""
    shards: Count = 1
    epoch: int = 1


def config_hash(configuration: Configuration) -> str:
    """Twelve hex digits that name a configuration.

    >>> config_hash(Configuration()) == config_hash(Configuration())
    True
    >>> config_hash(Configuration()) == config_hash(Configuration(epoch=2))
    False
    """
    return hashlib.blake2b(msgspec.json.encode(configuration), digest_size=6).hexdigest()
