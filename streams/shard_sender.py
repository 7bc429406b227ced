"""What a shard's owner writes: in transactions under the shard's name, so that one owner at a time is heard.

A worker that was frozen while its shard moved may wake up and go on writing. On Apache Kafka the next owner has shut
it out by then: taking the shard's transactional id over ends the transactions of whoever had it, and readers of
committed records see nothing of them. The embedded broker has no transactions: there the same records are sent
without them, and nobody is shut out. Blocking: for the one thread that has the shard.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError
from msgspec import Struct

from streams import topics
from streams.kafka_clients import admin_client, producer
from streams.settings import Settings

CONFIRMED_WITHIN_S = 120.0
GIVEN_UP_WITHIN_S = 20.0
BLOCKS_S = 60.0
"""Most that a client waits for who leads a partition, or for a shard's earlier transactions to end."""

_log = logging.getLogger("streams.monitor")


class FencedError(Exception):
    """Another worker has the shard: nothing of ours is heard any more."""


class Output(Struct, frozen=True):
    """One record to be written."""

    topic: str
    """Full name."""
    key: bytes
    value: bytes | None
    partition: int | None = None


class ShardSender:
    """Writes for one shard.

    Parameters
    ----------
    purpose : sets what it writes apart: a transaction that cannot end, as its disk is full, holds up no other.
    confirmed_within_s : how long a send waits for the broker.
    """

    def __init__(
        self, settings: Settings, shard: int, *, purpose: str = "", confirmed_within_s: float = CONFIRMED_WITHIN_S
    ) -> None:
        self._settings = settings
        self._shard = shard
        self._name = f"{settings.topic_prefix}emberwatch-shard-{shard}{purpose and '-'}{purpose}"
        self._confirmed_within_s = confirmed_within_s
        self._producer: KafkaProducer | None = None
        self._fenced = False

    def take_over(self) -> None:
        """Shut out whoever wrote for this shard before; from here on we do."""
        if self._producer is not None:
            return
        if _has_transactions(self._settings):
            self._fenced = True
            taken = producer(
                self._settings,
                transactional_id=self._name,
                linger_ms=0,
                max_block_ms=round(1000 * min(BLOCKS_S, self._confirmed_within_s)),
            )
            try:
                taken.init_transactions()
            except KafkaError:
                taken.close(timeout=0.0)
                raise
            self._producer = taken
        else:
            _log.warning("this broker has no transactions: a worker that lost its shard without knowing is still heard")
            self._producer = producer(self._settings, linger_ms=0)

    def send(self, *groups: Sequence[Output]) -> list[Any]:
        """Write groups of records, all or nothing, the first group first; gives where each record went.

        Raises `FencedError` where another worker has the shard by now, `KafkaError` where the broker refuses; then
        nothing of it is seen, on a broker with transactions.
        """
        if not any(groups):
            return []
        self.take_over()
        try:
            return self._in_transaction(groups) if self._fenced else self._one_after_the_other(groups)
        except (ProducerFencedError, InvalidProducerEpochError) as error:
            raise FencedError(f"another worker has shard {self._shard}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        if self._producer is not None:
            closed, self._producer = self._producer, None
            with contextlib.suppress(KafkaError):  # of what was not confirmed
                closed.close(timeout=10.0)

    def _in_transaction(self, groups: Sequence[Sequence[Output]]) -> list[Any]:
        assert self._producer is not None
        self._producer.begin_transaction()
        try:
            deliveries = [self._hand_over(output) for group in groups for output in group]
            written = [delivery.get(timeout=self._confirmed_within_s) for delivery in deliveries]
        except KafkaError as error:
            if not isinstance(error, ProducerFencedError | InvalidProducerEpochError):
                try:
                    self._give_up(self._producer)
                finally:
                    self.close()  # its sequence numbers may be off: the next transaction begins with a new client
            raise
        self._producer.commit_transaction()
        return written

    def _give_up(self, given_up: KafkaProducer) -> None:
        """Abort the transaction; where the broker never ends it, the next client does, when it takes over."""
        raised: list[KafkaError] = []

        def work() -> None:
            try:
                _abort(given_up)
            except KafkaError as error:
                raised.append(error)

        aborting = threading.Thread(target=work, name="abort", daemon=True)  # the client's own waiting has no end
        aborting.start()
        aborting.join(GIVEN_UP_WITHIN_S + 5.0)
        if aborting.is_alive():
            _log.warning("shard %d: the broker does not end a transaction that failed", self._shard)
        if raised:
            raise raised[0]

    def _one_after_the_other(self, groups: Sequence[Sequence[Output]]) -> list[Any]:
        written = []
        for group in groups:
            deliveries = [self._hand_over(output) for output in group]
            written += [delivery.get(timeout=self._confirmed_within_s) for delivery in deliveries]
        return written

    def _hand_over(self, output: Output) -> Any:
        assert self._producer is not None
        return self._producer.send(output.topic, key=output.key, value=output.value, partition=output.partition)


def _abort(given_up: KafkaProducer) -> None:
    """Abort a transaction; where batches failed out of order, the client is first given a new epoch by itself."""
    deadline_s = time.monotonic() + GIVEN_UP_WITHIN_S
    while True:
        try:
            given_up.abort_transaction()
        except ProducerFencedError:
            raise
        except KafkaError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)
            with contextlib.suppress(KafkaError):
                given_up.begin_transaction()
        else:
            return


def _has_transactions(settings: Settings) -> bool:
    if settings.embedded:
        return False
    admin = admin_client(settings)
    try:
        return not topics.is_embedded(admin)
    finally:
        admin.close()
