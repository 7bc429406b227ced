"""The score worker: posts and control records in, journal entries out, dead letters aside.

It keeps nothing between two batches but a cache, so as many run as there are partitions of `posts`. A record is
acknowledged when the broker has confirmed what became of it.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import msgspec
import prometheus_client
from msgspec import Struct

from detectors.codec import decode_record, encode_entry
from detectors.entries import ConfigurationEntry, Entry, LookAnswer, Origin, ScoredPost, SourceEnd
from detectors.looks import Checker, answers
from detectors.policy import Configuration, TimeParameters, config_hash
from detectors.posts import BadRecord, decode_post
from detectors.records import Look, Post
from detectors.scoring import Scorer, Timed
from streams import dead_letters
from streams.attempts import MOST_ATTEMPTS, Attempts
from streams.batch_loop import Event, run_in_batches
from streams.control_records import CONTROL_TOPICS, Record, entry_of, last_configuration, open_journal
from streams.faust_app import Outlet, build_app, confirmed, stop_on_signal
from streams.metrics import Metrics
from streams.models import load_checker, load_scorer
from streams.publish import END_HEADER, SPEED_HEADER
from streams.settings import Settings
from streams.topics import SHARD_OF_POSTS, Name, topic_name
from streams.worker import Worker

MAX_BATCH = 64
"""Posts a batch: with the default model, a fifth of a second of new texts on one core."""
MAX_WAIT_S = 0.03
CACHE_ROUND_S = 12 * 3600.0
"""Scores of a text that nobody posts any more are forgotten after one to two of these: within a day."""
CONFIGURATION_EVERY_S = 10.0
"""How often a worker looks for changed time parameters; only one of them gets the record itself."""

_log = logging.getLogger("streams.score")


class _Scorable(Struct, frozen=True):
    """A decoded post on its way to the scorer."""

    post: Post
    origin: Origin
    speed: float


class _Refused(Struct, frozen=True):
    """A record that becomes a dead letter."""

    event: Event
    field: str
    error: str


_Outcome = _Scorable | _Refused | SourceEnd | Entry


class ScoreWorker:
    """What every batch needs.

    Parameters
    ----------
    scorer : used from one thread only.
    configuration : in force when the worker starts; its time parameters follow what is applied later.
    checker : takes second looks, in the same thread as the scorer; None where there is none.
    """

    def __init__(
        self,
        settings: Settings,
        scorer: Scorer,
        configuration: Configuration,
        metrics: Metrics,
        checker: Checker | None = None,
    ) -> None:
        self.app = build_app(settings, "score")
        # Not `looks`: written in transactions, its end is a mark that nobody reads, and would always lag.
        consumed = [topic_name(settings, name) for name in ("posts", *CONTROL_TOPICS)]
        self.worker = Worker(self.app, settings, "score", metrics, consumed)
        self._settings = settings
        self._scorer = scorer
        self._checker = checker
        self._metrics = metrics
        self._use(configuration)
        self._journal = Outlet(self.app, settings, "journal")
        self._dead_letters = Outlet(self.app, settings, "dead-letters")
        self._scoring = ThreadPoolExecutor(1, "scoring")
        self._attempts = Attempts(settings.data_dir / "scoring")
        self._agent("posts", self.handle_posts)
        for topic in CONTROL_TOPICS:
            self._agent(topic, self._control_handler(topic))
        if checker is not None:
            self._agent("looks", self.handle_looks)

    async def handle_posts(self, events: Sequence[Event]) -> None:
        """Score a batch of posts; returns when journal and dead letters are confirmed."""
        with self._timed("decode"):
            outcomes = [self._decoded(event) for event in events]
        posts = [outcome for outcome in outcomes if isinstance(outcome, _Scorable)]
        with self._timed("score"):
            scored = dict(zip((post.origin for post in posts), await self._score(posts), strict=True))
        settled = [
            _settled(scored[outcome.origin], event, outcome.speed) if isinstance(outcome, _Scorable) else outcome
            for event, outcome in zip(events, outcomes, strict=True)
        ]
        with self._timed("journal"):
            await self._deliver("posts", settled)
        self._count_posts(settled)

    async def handle_looks(self, events: Sequence[Event]) -> None:
        """Answer a batch of second looks, each into the journal that asked; returns when all is confirmed."""
        asked = [self._decoded_look(event) for event in events]
        looks = [look for look in asked if not isinstance(look, _Refused)]
        answered = iter(await asyncio.get_running_loop().run_in_executor(self._scoring, self._check, looks))
        deliveries = []
        for event, look in zip(events, asked, strict=True):
            answer = look.error if isinstance(look, _Refused) else next(answered)
            if isinstance(answer, LookAnswer) and not isinstance(look, _Refused):
                deliveries.append(await self._journal.send(encode_entry(answer), partition=look[0].shard))
            else:
                deliveries.append(await self._put_aside("looks", _Refused(event, "look", str(answer))))
        await confirmed(deliveries)
        self.worker.watchdog.progressed()

    def _decoded_look(self, event: Event) -> tuple[Look, Origin] | _Refused:
        try:
            look = decode_record(Look, event.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _Refused(event, "look", str(error))
        if not 0 <= look.shard < self._settings.shards:
            return _Refused(event, "shard", f"there is no shard {look.shard}")
        return look, _origin(event)

    def _check(self, looks: Sequence[tuple[Look, Origin]]) -> list[LookAnswer | str]:
        """Answers, or why there is none; one text that the checker fails on does not take the others with it."""
        assert self._checker is not None
        try:
            return list(answers(self._checker, looks))
        except Exception as error:  # noqa: BLE001  whatever it is, it must not stop the others
            if len(looks) == 1:
                _log.exception("a second look failed")
                return [f"the checker failed: {type(error).__name__}: {error}"]
        return [answer for look in looks for answer in self._check([look])]

    async def _deliver(self, topic: Name, outcomes: Sequence[Any]) -> None:
        """Append entries in order, put the refused aside, and wait for all of it."""
        deliveries = []
        for outcome in outcomes:
            if isinstance(outcome, _Refused):
                deliveries.append(await self._put_aside(topic, outcome))
                continue
            value = encode_entry(outcome)
            shards = shards_of(outcome, self._settings.shards)
            deliveries += [await self._journal.send(value, partition=shard) for shard in shards]
        await confirmed(deliveries)
        self._metrics.last_entry.set_to_current_time()
        self.worker.watchdog.progressed()

    async def _put_aside(self, topic: Name, refused: _Refused) -> Awaitable[Any]:
        message = refused.event.message
        headers = dead_letters.headers_of(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            field=refused.field,
            error=refused.error,
        )
        self._metrics.dead_letters.labels(topic=topic).inc()
        return await self._dead_letters.send(message.value, key=message.key, headers=headers)

    def _decoded(self, event: Event) -> _Outcome:
        origin = _origin(event)
        try:
            if END_HEADER in event.headers:
                return SourceEnd(origin=origin)
            speed = _speed(event.headers.get(SPEED_HEADER))
            post = decode_post(event.value or b"", received_at_s=event.message.timestamp, time=self._time)
        except BadRecord as bad:
            return _Refused(event, bad.field, bad.error)
        return _Scorable(post, origin, speed)

    async def _score(self, posts: Sequence[_Scorable]) -> list[ScoredPost | str]:
        """Entries of the posts, or why a post brings the scorer down; off the event loop."""
        if not posts:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._scoring, self._score_now, posts)

    def _score_now(self, posts: Sequence[_Scorable]) -> list[ScoredPost | str]:
        origins = [post.origin for post in posts]
        if not any(map(self._attempts.deaths, origins)):
            self._attempts.begin(origins)
            try:
                scored = self._scorer.score([(post.post, post.origin, post.speed) for post in posts])
            except Exception:  # noqa: BLE001  the one by one below says which
                _log.exception("a batch was not scored; its posts are scored one by one")
            else:
                self._attempts.done(origins)
                return list(scored)
        return [self._score_alone(post) for post in posts]

    def _score_alone(self, post: _Scorable) -> ScoredPost | str:
        failed, why = self._attempts.deaths(post.origin), "the scorer died of it"
        scored = None
        while scored is None and failed < MOST_ATTEMPTS:
            self._attempts.begin([post.origin])
            try:
                [scored] = self._scorer.score([(post.post, post.origin, post.speed)])
            except Exception as error:  # noqa: BLE001  whatever it is, it must not stop the others
                failed, why = failed + 1, f"the scorer failed: {type(error).__name__}: {error}"
        self._attempts.done([post.origin])
        return why if scored is None else scored

    def _control_handler(self, topic: Name) -> Callable[[Sequence[Event]], Awaitable[None]]:
        async def handle(events: Sequence[Event]) -> None:
            outcomes = [await self._control_outcome(topic, event) for event in events]
            await self._deliver(topic, outcomes)
            for outcome in outcomes:
                if not isinstance(outcome, _Refused):
                    self._metrics.control_records.labels(topic=topic).inc()
                if isinstance(outcome, ConfigurationEntry):
                    self._use(outcome.configuration)

        return handle

    async def _control_outcome(self, topic: Name, event: Event) -> _Outcome:
        record = Record(_origin(event), event.message.key, event.message.value, event.message.timestamp)

        def read() -> Entry:
            return entry_of(topic, record, scorer=self._scorer, shards=self._settings.shards, time=self._time)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._scoring, read)
        except BadRecord as bad:
            return _Refused(event, bad.field, bad.error)

    def _agent(self, topic: Name, handle: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        async def consume(stream: Any) -> None:
            await run_in_batches(stream, handle, max_batch=MAX_BATCH, max_wait_s=MAX_WAIT_S)

        self.app.agent(self.app.topic(topic_name(self._settings, topic)), name=f"score-{topic}")(consume)

    @property
    def _time(self) -> TimeParameters:
        return self._configuration.time

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        with self._metrics.score_stage.labels(stage=stage).time():
            yield

    def _count_posts(self, outcomes: Sequence[Any]) -> None:
        now_s = time.time()
        for outcome in outcomes:
            if isinstance(outcome, ScoredPost):
                self._metrics.posts_scored.labels(outcome="scored").inc()
                if reason := self._why_not_judged(outcome):
                    self._metrics.posts_not_judged.labels(reason=reason).inc()
                self._metrics.score_latency.observe(max(0.0, now_s - outcome.ingested_at_s))
            elif isinstance(outcome, _Refused):
                self._metrics.posts_scored.labels(outcome="dead_letter").inc()

    def _why_not_judged(self, scored: ScoredPost) -> str:
        """One of `metrics.NOT_JUDGED`; empty where a trained head judged, and where there are no words to judge."""
        if scored.vector is None:
            return ""
        return "language" if not scored.judged else "" if self._scorer.has_heads else "space"

    async def forget_texts(self) -> None:
        """Let the cache forget the texts that come no more: those of deleted posts among them."""
        while True:
            await asyncio.sleep(CACHE_ROUND_S)
            gone = await asyncio.get_running_loop().run_in_executor(self._scoring, self._scorer.cache.forget_unasked)
            _log.info("%d texts that came no more are forgotten", gone)

    async def follow_configuration(self) -> None:
        """Keep the time parameters of this worker those in force."""
        while True:
            await asyncio.sleep(CONFIGURATION_EVERY_S)
            found = await asyncio.to_thread(last_configuration, self._settings, self._scorer.space)
            if found is not None:
                self._use(found[0])

    def _use(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._metrics.set_build(
            version=configuration.code_version,
            config_hash=config_hash(configuration),
            embedding_space=configuration.embedding_space,
        )


def shards_of(entry: Entry, shards: int) -> range:
    """Shards that an entry goes to: a function of the record alone, so a post that comes again lands there again.

    One stream of posts is one shard (the first) for now; what everyone must know goes to all.
    """
    return range(SHARD_OF_POSTS, SHARD_OF_POSTS + 1) if isinstance(entry, ScoredPost) else range(shards)


def run(settings: Settings) -> int:
    """Run a score worker until it is asked to stop."""
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    metrics = Metrics(prometheus_client.CollectorRegistry(), "score")
    scorer = await asyncio.to_thread(load_scorer, settings, timed=_span_of(metrics))
    checker = await asyncio.to_thread(load_checker, settings, scorer)
    configuration = await asyncio.to_thread(open_journal, settings, scorer.space)
    stage = ScoreWorker(settings, scorer, configuration, metrics, checker)
    await stage.worker.run(stop_on_signal(), ready={}, beside=[stage.forget_texts, stage.follow_configuration])
    return 0


def _span_of(metrics: Metrics) -> Timed:
    """Time the stage of scoring that has a series of its own."""
    return lambda stage: metrics.score_stage.labels(stage=stage).time() if stage == "embed" else nullcontext()


def _settled(scored: ScoredPost | str, event: Event, speed: float) -> ScoredPost | _Refused:
    if isinstance(scored, str):
        return _Refused(event, "text", scored)
    # Stamped here, so that whoever folds the journal, whenever, reads the same delay. History has none.
    return msgspec.structs.replace(scored, scored_at_s=round(time.time(), 3)) if speed == 1.0 else scored


def _origin(event: Event) -> Origin:
    message = event.message
    return Origin(message.topic, message.partition, message.offset)


def _speed(header: bytes | None) -> float:
    """Speed of the source as its header says; raises `BadRecord`."""
    if header is None:
        return 1.0
    try:
        speed = float(header)
    except ValueError:
        raise BadRecord(SPEED_HEADER, "not a number") from None
    if not 0.0 <= speed < math.inf:
        raise BadRecord(SPEED_HEADER, "not a number from 0 on")
    return speed
