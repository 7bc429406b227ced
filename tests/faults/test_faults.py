"""What is promised holds under every fault that leaves the broker alone, in its short form, on Apache Kafka."""

from concurrent.futures import ThreadPoolExecutor

import faults
import pytest
from disks import NotHereError

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(900)]

AT_ONCE = 3
"""Most of a fault is waiting, for sessions to run out above all."""


@pytest.fixture(scope="module")
def side_by_side(benches, request):
    """Several faults at once, in the order of their tests: each has topics and workers of its own."""
    in_order = [item.callspec.params["fault"] for item in request.session.items if item.path == request.path]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {fault: benches(fault) for fault in in_order}
        yield {fault: (bench, pool.submit(fault, bench, long=False)) for fault, bench in begun.items()}


@pytest.mark.parametrize("fault", faults.ALONE_WITH_ITS_WORKERS, ids=lambda fault: fault.__name__)
def test_nothing_is_lost_or_counted_twice_and_the_alerts_are_the_same_under(fault, side_by_side):
    bench, begun = side_by_side[fault]
    try:
        row = begun.result()
    except NotHereError as reason:
        pytest.skip(str(reason))
    assert row.holds(), (row, bench.complaints)
