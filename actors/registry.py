"""Which definition owns an address. Nothing that is not mounted can be addressed."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from ..protocols.errors import DefinitionError
from ..protocols.ids import Address, check_template, fits
from ..protocols.mail import MailboxPolicy
from ..protocols.people import People
from .actor import Actor

REMEMBERED = 16_384
"""Addresses whose definitions are kept at hand."""


Begun = Literal["by mail", "in order", "by name"]


class Mount(Struct, frozen=True):
    """A definition at a template.

    Attributes:
        template: the addresses it owns, such as ``desk/{run}/medical``.
        actor: the actor that serves them.
        supervisor: who is told when a turn of one of them fails; empty for the root.
        agent: the name under which the gate knows its grants, limits, tools and models.
    """

    template: str
    actor: Actor
    supervisor: Address
    agent: str
    among: Directory | None = None
    """The directory that it is in."""
    begun: Begun = "by mail"
    """How its actors begin: by their first mail, whoever sends it; by their supervisor, before any mail (it waits); or by somebody who
    names them to their supervisor (mail to others is refused)."""
    people: People | None = None
    """Whom questions of its actors go to, where they do not say so themselves."""

    @property
    def vital(self) -> bool:
        """Whether others would stay suspended for ever if mail to its actors were put aside."""
        return self.actor.supervises or self.actor.vital


class Directory:
    """All mounts of one system."""

    def __init__(self, mounts: tuple[Mount, ...] = ()) -> None:
        self._exact: dict[str, Mount] = {}
        self._templates: dict[int, list[Mount]] = {}
        self.memory_only = False
        """Whether any of them is (``durable = False``)."""
        self.least_backlog = MailboxPolicy().max_backlog or 0
        """No mailbox here holds more than it should before it holds more than this."""
        self._found: dict[Address, Mount | None] = {}
        """Answers to the last questions: every message from outside asks, mostly about the same addresses."""
        for mount in mounts:
            self.add(mount)

    def add(self, mount: Mount) -> None:
        """Mount a definition.

        Raises:
            DefinitionError: the template is taken, or no template.
        """
        try:
            check_template(mount.template)
        except ValueError as error:
            raise DefinitionError(str(error)) from error
        for known in self.mounts():
            if _overlap(mount.template, known.template):
                both = mount.template if mount.template == known.template else f"{known.template} and {mount.template}"
                raise DefinitionError(
                    f"two definitions are mounted at {both!r}: the same addresses fit both",
                    hint="give one of them another name",
                )
        mount = msgspec.structs.replace(mount, among=self)
        self.memory_only = self.memory_only or not mount.actor.durable
        self.least_backlog = min(self.least_backlog, mount.actor.mailbox.max_backlog or self.least_backlog)
        self._found.clear()
        if "{" in mount.template:
            self._templates.setdefault(mount.template.count("/"), []).append(mount)
        else:
            self._exact[mount.template] = mount

    def ask(self, template: str, people: People) -> None:
        """Have the questions of a mounted definition go to these people."""
        self._found.clear()
        if "{" not in template:
            self._exact[template] = msgspec.structs.replace(self._exact[template], people=people)
            return
        group = self._templates[template.count("/")]
        group[:] = [msgspec.structs.replace(m, people=people) if m.template == template else m for m in group]

    def find(self, address: Address) -> Mount | None:
        """The definition that owns an address; no two do."""
        if address in self._found:
            return self._found[address]
        if len(self._found) >= REMEMBERED:
            self._found.clear()
        found = self._found[address] = self._find(address)
        return found

    def _find(self, address: Address) -> Mount | None:
        found = self._exact.get(address)
        if found is not None:
            return found
        for mount in self._templates.get(address.count("/"), ()):
            if fits(mount.template, address):
                return mount
        return None

    def named(self) -> str:
        """The templates of what people defined, for whoever mistypes an address."""
        return ", ".join(mount.template for mount in self.mounts() if mount.supervisor and not mount.actor.inner)

    def mounts(self) -> tuple[Mount, ...]:
        """All of them."""
        return (*self._exact.values(), *(m for group in self._templates.values() for m in group))


def _overlap(one: str, other: str) -> bool:
    """Whether an address can fit both: segment by segment they are equal, or one is a hole."""
    mine, theirs = one.split("/"), other.split("/")
    return len(mine) == len(theirs) and all(
        m == t or m.startswith("{") or t.startswith("{") for m, t in zip(mine, theirs, strict=True)
    )
