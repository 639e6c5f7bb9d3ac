"""What is made of a batch before it is written."""

from __future__ import annotations

from msgspec import Raw

from understudy.protocols.ids import Address
from understudy.protocols.journal import Batch, Row
from understudy.supervisor.journal.chain import genesis
from understudy.supervisor.journal.plan import Stream, prepare
from understudy.supervisor.journal.tables import Tail

A = Address("desk/a")


def test_every_value_of_a_row_is_one_that_the_driver_takes_without_a_search_for_an_adapter() -> None:
    """It searches for whatever is not exactly of one of these types, also for ``bytes``: 1 us each, a sixth of a row's cost."""
    rows = tuple(Row(gid, A, gid, 0, "turn", "", 1.0, Raw(b"{}")) for gid in (1, 2))
    plan = prepare(Batch(rows), Tail(0, 0.0, genesis("seed")), {A: Stream(1, 0, new=True)})
    assert {type(value) for value in plan.rows} == {int, str, float, bytearray}
