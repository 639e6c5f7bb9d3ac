"""By which name resolvers know who writes or claims something."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ...protocols.errors import Rejected
from ...protocols.ids import OUTSIDE, Address, fits


class Known(Struct, frozen=True):
    """The names in a team: its workers, and the templates of its plain actors."""

    team: Address
    workers: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()

    def name(self, address: str) -> str:
        """A worker's name for each of its runs, a plain actor's template, else the address itself; ``outside`` for who has none."""
        if address == OUTSIDE:
            return "outside"
        below = address.removeprefix(f"{self.team}/").split("/") if address.startswith(f"{self.team}/") else []
        if len(below) >= 2 and below[1] in self.workers:
            return below[1]
        return next((template for template in self.templates if fits(template, address)), address)

    def outsider(self, given: str) -> str:
        """The name of a caller that is no actor.

        Raises:
            Rejected: it is the name or the address of somebody in this team.
        """
        if given in self.workers or given in self.templates or self.name(given) != given:
            raise Rejected(f"{given!r} is somebody in this team, and no caller outside", hint="give a name of your own")
        return given

    def names(self) -> Sequence[str]:
        """All that a declaration may name."""
        return (*self.workers, *self.templates, "outside")
