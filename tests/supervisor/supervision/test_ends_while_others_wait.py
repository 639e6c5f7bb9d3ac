"""A supervisor that ends for good leaves nobody waiting for a restart that nobody will give."""

from __future__ import annotations

import pytest

import understudy as us
from tests.conformance.part import Fail, Fleeting, Part, World
from understudy.protocols.ids import Address
from understudy.supervisor.supervision.live import StopChild
from understudy.supervisor.supervision.roster import SupervisorState
from understudy.testing import Simulated

CART = Address("carts/1")


def state(node: Simulated) -> SupervisorState:
    found = node.actor("team").state
    assert isinstance(found, SupervisorState)
    return found


@pytest.mark.parametrize("late", [-500.0, 0.5])
def test_a_virtual_child_whose_wait_is_just_over_ends_with_its_supervisor_or_is_restarted(late: float) -> None:
    """The word that the wait is over may be on its way when the supervisor ends; before, nobody gave it, for ever."""
    met = set[str]()
    for seed in range(40):
        world = World()
        cart = us.Child("carts/{id}", Part(world))
        team = us.Supervisor("team", [us.Pool("jobs/{k}", Part(world)), cart], backoff=us.Backoff(1_000.0, 1_000.0))
        node = Simulated(team, seed=seed)
        for _ in range(2):  # the first restart is at once
            node.tell(CART, Fail())
            node.pass_time(50)
        due = state(node).streaks[CART].until
        node.pass_time(max(0.0, due - 0.1 - node.now) if late > 0 else 0.0)
        node.now = max(node.now, due + late if late > 0 else node.now)
        sent = node.ask("root", StopChild(Address("team")))
        node.pass_time(5_000)
        assert sent.reply is not None
        assert sent.reply.failure is None
        met.add(node.actor(CART).memory.life)
        assert not node.stuck()
    assert met <= {"stopped", "running"}
    assert "stopped" in met


def test_a_virtual_child_that_runs_goes_on_when_its_supervisor_ends() -> None:
    world = World()
    for actor in (Part(world), Fleeting(world)):
        team = us.Supervisor("team", [us.Pool("jobs/{k}", Part(world)), us.Child("carts/{id}", actor)])
        node = Simulated(team, seed=1)
        node.tell(CART, Fail())
        node.pass_time(50)
        assert CART in state(node).streaks
        node.ask("root", StopChild(Address("team")))
        node.pass_time(50)
        if isinstance(actor, Part):
            assert node.actor(CART).memory.life == "running", "it had failed, and was restarted long ago"
