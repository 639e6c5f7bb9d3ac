"""Whose people an actor's questions go to: its agent's, else its supervisor's, else those of the supervisor above, and so on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..actors.react import AgentActor
from ..actors.registry import Directory, Mount
from ..protocols.ids import Address
from ..protocols.people import People
from .composing import ComposingActor
from .supervision.definitions import Supervisor


def address_people(directory: Directory, definitions: Sequence[object]) -> None:
    """Tell every mount of these definitions whom its questions go to."""
    supervisors = {team.name: team.people for team in _teams(definitions)}
    if not any(supervisors.values()) and not any(_own(mount) for mount in directory.mounts()):
        return
    for mount in directory.mounts():
        people = _own(mount) or _above(directory, supervisors, Address(mount.template))
        if people is not None:
            directory.ask(mount.template, people)


def _teams(definitions: Sequence[object]) -> Iterator[Supervisor]:
    for definition in definitions:
        if isinstance(definition, Supervisor):
            yield definition
            yield from _teams(definition.supervisors)


def _own(mount: Mount) -> People | None:
    if isinstance(mount.actor, ComposingActor):
        return mount.actor.people
    return mount.actor.agent.people if isinstance(mount.actor, AgentActor) else None


def _above(directory: Directory, supervisors: Mapping[str, People | None], at: Address) -> People | None:
    seen = set[Address]()
    while at and at not in seen:
        seen.add(at)
        if (people := supervisors.get(at)) is not None:
            return people
        mount = directory.find(at)
        if mount is None:
            return None
        at = mount.supervisor
    return None
