"""What is promised holds under every fault, in its short form, on Apache Kafka."""

from concurrent.futures import ThreadPoolExecutor

import faults
import pytest
from disks import NotHereError
from run import Bench

from streams import apache_kafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

AT_ONCE = 3
"""Most of a fault is waiting, for sessions to run out above all."""


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """Makes a bench for each fault, all on one broker."""
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    with apache_kafka.one_node() as node:
        yield lambda fault: Bench(node, tmp_path_factory.mktemp(fault.__name__))


@pytest.fixture(scope="module")
def side_by_side(benches, request):
    """Faults that leave the broker alone, several at once: each has topics and workers of its own."""
    wanted = {item.callspec.params["fault"] for item in request.session.items if item.path == request.path}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {fault: benches(fault) for fault in faults.ALONE_WITH_ITS_WORKERS if fault in wanted}
        yield {fault: (bench, pool.submit(fault, bench, long=False)) for fault, bench in begun.items()}


@pytest.mark.parametrize("fault", faults.ALONE_WITH_ITS_WORKERS, ids=lambda fault: fault.__name__)
def test_nothing_is_lost_or_counted_twice_and_the_alerts_are_the_same_under(fault, side_by_side):
    bench, begun = side_by_side[fault]
    try:
        row = begun.result()
    except NotHereError as reason:
        pytest.skip(str(reason))
    assert row.holds(), (row, bench.complaints)


@pytest.mark.parametrize("fault", faults.OF_THE_BROKER, ids=lambda fault: fault.__name__)
def test_the_same_holds_when_the_broker_itself_suffers(fault, benches):
    bench = benches(fault)
    row = fault(bench, long=False)
    assert row.holds(), (row, bench.complaints)
