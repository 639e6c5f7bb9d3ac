"""Who decides a conflict: the resolvers as people write them (``us.majority``, ``us.person`` …), chained with ``|``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...actors.agent import Agent
from ...protocols.conflicts import Claim
from .asking import Judge, Person
from .resolver import Resolver
from .weighing import FirstCome, Majority, Merge, Priority, Refuse, Suited, Weighted


def majority(quorum: float | None = None) -> Resolver:
    """The answer that most workers give stands.

    Args:
        quorum: equal answers that it takes: a number of them, or (as a float up to 1.0) a share of those who were asked. By default
            more than half of those who were asked; who failed or could not answer was asked, too.

    As many for something else, or fewer than the quorum: the next resolver decides. Of those who agree, the surest one's answer stands.

    Raises:
        DefinitionError: no such number.
    """
    return Majority(quorum)


def weighted(margin: float = 0.0) -> Resolver:
    """The claim with most confidence behind it stands.

    Args:
        margin: by how much of all confidence it has to lead the next one, from 0 to 1.

    Somebody who did not say how sure it is, equal ones, or a smaller lead: the next resolver decides.

    Raises:
        DefinitionError: the margin is out of range.
    """
    return Weighted(margin)


def priority(order: Sequence[str]) -> Resolver:
    """The claim of the first in this order stands. Where nobody in it has a claim, the next resolver decides.

    Raises:
        DefinitionError: no names, or one twice; a name that is nobody's in the team is refused by ``us.Supervisor``.
    """
    return Priority(order)


def first_come() -> Resolver:
    """What was there first stands: the entry as it is, the holder of the lease, the first worker named. Always decides."""
    return FirstCome()


def refuse() -> Resolver:
    """Nothing stands: whoever asked is refused, with the reason. Always decides."""
    return Refuse()


def suited() -> Resolver:
    """The worker whose name and instructions share most words with the task does it. Where that is not clear, the next resolver decides."""
    return Suited()


def merge(function: Callable[[tuple[Claim, ...]], Any]) -> Resolver:
    """A function makes one value of all claims. It must be pure.

    Args:
        function: takes the claims (``claim.plain`` is the value as plain Python) and gives the value that stands; or one of the claims,
            which then does; or None where it cannot tell, and the next resolver decides. So does the next one where it raises or gives
            something that does not fit; its failure is recorded.

    Raises:
        DefinitionError: it is no function.
    """
    return Merge(function)


def judge(agent: Agent[Any], *, within: float = 900.0) -> Resolver:
    """An agent decides: it is given all claims as a task of its own, and its run is in the journal like any other.

    Args:
        agent: its output is ``us.Ruling``, or text that is the name of whose claim stands.
        within: seconds that it has. After that, and where it cannot, fails or names nobody, the next resolver decides.

    Raises:
        DefinitionError: it is no agent, its output is another, or the time is none.
    """
    return Judge(agent, within)


def person(*, within: float | None = 86_400.0, otherwise: str = "") -> Resolver:
    """A person decides, in the inbox: by the name of whose claim stands, or with a value of their own.

    Args:
        within: seconds that people have; None for ever.
        otherwise: whose claim stands when nobody answers in time. By default none does: an answer is refused, an entry stays as it
            is, a holder stays the holder.

    Raises:
        DefinitionError: the time is none, or ``otherwise`` could never count.
    """
    return Person(within, otherwise)
