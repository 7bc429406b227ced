"""What the monitor knows of its shard."""

from msgspec import Struct, field

from detectors.alerts import Budget, Case
from detectors.coordination import Coordination
from detectors.event_time import BEGINNING_S, EventTime
from detectors.falsehood import ClaimIndex
from detectors.forecast import Forecaster
from detectors.inherited import Inherited
from detectors.looked import Looks
from detectors.merging import Merging
from detectors.named_persons import NameHistory
from detectors.narratives import Narratives
from detectors.origins import SeenOffsets
from detectors.policy import Configuration
from detectors.post_index import PostIndex
from detectors.records import Crisis
from detectors.virality import Population
from detectors.waiting import Waiting


class Core(Struct):
    """Everything of the state that is small."""

    next_offset: int = 0
    configuration: Configuration = field(default_factory=Configuration)
    time: EventTime = field(default_factory=EventTime)
    seen: dict[str, SeenOffsets] = {}
    population: Population = field(default_factory=Population)
    cases: dict[str, Case] = {}
    """Alerts by the narrative that they are about."""
    inherited: dict[str, Inherited] = {}
    """By alert id: open alerts of an earlier state, whose narratives were not found again yet."""
    budget: Budget = field(default_factory=Budget)
    crises: dict[str, Crisis] = {}
    names_heard: NameHistory = field(default_factory=NameHistory)
    waiting: Waiting = field(default_factory=Waiting)
    merging: Merging = field(default_factory=Merging)
    looks: Looks = field(default_factory=Looks)
    claims_version: int = 0
    housekept_at_s: float = BEGINNING_S
    counted: dict[str, int] = {}
    """Everything that was left out, by reason."""
    folded: int = 0
    """Posts that were counted."""
    late: int = 0
    """Of these, posts behind the watermark."""
    delay_s: float | None = None
    """From the arrival of the last live post to its scoring."""


class MonitorState:
    """Everything the monitor knows of its shard."""

    def __init__(self, core: Core | None = None) -> None:
        self.core = core or Core()
        self.narratives = Narratives()
        self.posts = PostIndex()
        self.claims = ClaimIndex()
        self.coordination = Coordination()
        self.forecaster = Forecaster()

    @property
    def next_offset(self) -> int:
        """Offset of the first entry that was not folded yet."""
        return self.core.next_offset

    @property
    def configuration(self) -> Configuration:
        """Configuration in force."""
        return self.core.configuration

    def leave_out(self, reason: str, posts: int = 1) -> None:
        """Count what is left out: nothing is lost silently."""
        self.core.counted[reason] = self.core.counted.get(reason, 0) + posts

    def left_out(self) -> dict[str, int]:
        """Everything that was left out so far, by reason."""
        return {
            **self.core.counted,
            "index_evicted": self.posts.evicted,
            "micro_cluster_cap": self.narratives.dropped_micros,
            "coordination_cap": self.coordination.evicted,
            "name_history_evicted": self.core.names_heard.evicted,
            "date_distrusted": self.core.time.distrusted,
            "look_cap": self.core.looks.evicted,
            "page_over_budget": self.core.budget.demoted,
        }
