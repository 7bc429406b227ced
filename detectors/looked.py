"""Which posts were asked to be looked at again, what was answered, and what follows for a narrative.

A first look scores every post, cheaply; a second one is taken at a few posts of narratives that are about to alert.
Together they are double sampling (Tenenbein 1970): the first look's count of a kind of post is corrected by the share
of those looked at again that the second look confirms. No post's text is kept here.
"""

from collections.abc import Iterable

from msgspec import Struct, field

from detectors.entries import LookAnswer, Vector
from detectors.incitement import evidence
from detectors.policy import LookParameters
from detectors.records import Stance

DOUBTING = 0.5
"""Weight of asking and denying from which a post counts as doubting."""

LEAST_OTHERS = 4
"""Posts that the first look left alone, and the second one looked at, from which their share counts for the rest."""


class Looked(Struct):
    """One post that a second look was asked for, or taken at."""

    micro_id: str
    asked_at_s: float
    """Event time."""
    first_inciting: bool
    """By the first look."""
    first_doubting: bool
    """... which the second one is to confirm."""
    first_evidence: int = 0
    """`incitement.evidence` by the first look."""
    evidence: int = 0
    """... and by the second."""
    model: str = ""
    """That answered; empty as long as none did."""
    inciting: bool = False
    calls: bool = False
    """Incites, and names place and time of an act."""
    doubting: bool = False
    vector: Vector | None = None


class LookSummary(Struct, frozen=True, kw_only=True):
    """Second looks at the posts of one narrative."""

    asked: int = 0
    answered: int = 0
    waiting: int = 0
    """Asked less than the allowed time ago."""
    first_inciting: int = 0
    """Of the answered, those that incite by the first look ..."""
    inciting_confirmed: int = 0
    """... and of these, by the second."""
    others: int = 0
    """Of the answered, those that do not incite by the first look ..."""
    others_inciting: int = 0
    """... and of these, those that do by the second."""
    first_doubting: int = 0
    doubting_confirmed: int = 0
    calls: int = 0
    evidence: int = 0
    """What the second looks add to the first look's evidence of the answered posts."""
    model: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether the time is over and nothing was answered: the first look alone has to do."""
        return self.asked > 0 and not self.answered and not self.waiting

    @property
    def is_awaited(self) -> bool:
        """Whether nothing was answered yet, and there is still time."""
        return self.waiting > 0 and not self.answered

    def inciting_of(self, inciting: int, posts: int) -> int:
        """Inciting posts of a narrative, from the first look's count of all of them; half a post counts as one.

        >>> LookSummary(answered=4, first_inciting=4, inciting_confirmed=1).inciting_of(20, 50)
        5
        """
        doubled = 2 * inciting
        if self.first_inciting:
            doubled = 2 * inciting * self.inciting_confirmed // self.first_inciting
        if self.others >= LEAST_OTHERS:
            doubled += 2 * (posts - inciting) * self.others_inciting // self.others
        return (doubled + 1) // 2

    def doubting_of(self, doubting: int) -> int:
        """Doubting posts of a narrative, likewise; where none was looked at again, the first look's count stays."""
        if not self.first_doubting:
            return doubting
        return (2 * doubting * self.doubting_confirmed // self.first_doubting + 1) // 2


NOT_LOOKED_AT = LookSummary()


class Looks(Struct):
    """Second looks by post, in the order in which they were asked for."""

    by_post: dict[str, Looked] = {}
    by_micro: dict[str, list[str]] = {}
    due: dict[str, float] = field(default_factory=dict)
    """Narratives that wait, and until when at the longest (event time)."""
    evicted: int = 0
    """Looks that the cap dropped."""

    def put(self, post_id: str, looked: Looked, cap: int) -> None:
        """Note a look; beyond the cap the oldest makes room."""
        self.by_post[post_id] = looked
        self.by_micro.setdefault(looked.micro_id, []).append(post_id)
        if len(self.by_post) > cap:
            self.take(next(iter(self.by_post)))
            self.evicted += 1

    def take(self, post_id: str) -> None:
        """Forget the look at a post that was deleted, or is old."""
        looked = self.by_post.pop(post_id, None)
        if looked is None:
            return
        of_micro = self.by_micro[looked.micro_id]
        of_micro.remove(post_id)
        if not of_micro:
            del self.by_micro[looked.micro_id]

    def expire(self, before_s: float) -> None:
        """Forget what was asked before a time."""
        for post_id in [one for one, looked in self.by_post.items() if looked.asked_at_s < before_s]:
            self.take(post_id)

    def answer(self, answer: LookAnswer, post_probability: float) -> bool:
        """Take an answer; False where the post is not known here, or was answered before."""
        looked = self.by_post.get(answer.post_id)
        if looked is None or looked.model:
            return False
        found = {indicator.kind for indicator in answer.indicators}
        looked.model = answer.model
        looked.inciting = answer.incitement >= post_probability
        looked.evidence = evidence(answer.incitement)
        looked.calls = looked.inciting and {"call_to_act", "place", "time"} <= found
        if answer.stance is None:
            looked.first_doubting = False  # the first look stands: nothing was to confirm it
        else:
            looked.doubting = is_doubting(answer.stance)
        looked.vector = answer.vector
        return True

    def vector_of(self, post_id: str) -> Vector | None:
        """Vector of the full model, where it looked at this post."""
        looked = self.by_post.get(post_id)
        return looked.vector if looked else None

    def count(self, micro_ids: Iterable[str]) -> int:
        """Posts of some micro-clusters that were asked for."""
        return sum(len(self.by_micro.get(micro_id, ())) for micro_id in micro_ids)

    def of(self, micro_ids: Iterable[str], now_s: float, parameters: LookParameters) -> LookSummary:
        """What the second looks at the posts of some micro-clusters say."""
        looks = [self.by_post[post_id] for micro_id in micro_ids for post_id in self.by_micro.get(micro_id, ())]
        if not looks:
            return NOT_LOOKED_AT
        answered = [one for one in looks if one.model]
        incited = [one for one in answered if one.first_inciting]
        others = [one for one in answered if not one.first_inciting]
        doubted = [one for one in answered if one.first_doubting]
        return LookSummary(
            asked=len(looks),
            answered=len(answered),
            waiting=sum(not one.model and now_s < one.asked_at_s + parameters.wait_s for one in looks),
            first_inciting=len(incited),
            inciting_confirmed=sum(one.inciting for one in incited),
            others=len(others),
            others_inciting=sum(one.inciting for one in others),
            first_doubting=len(doubted),
            doubting_confirmed=sum(one.doubting for one in doubted),
            calls=sum(one.calls for one in answered),
            evidence=sum(one.evidence - one.first_evidence for one in answered),
            model=answered[-1].model if answered else "",
        )


def is_doubting(stance: Stance) -> bool:
    """Whether a post asks whether it is true, or denies it."""
    return stance.deny + stance.query >= DOUBTING
