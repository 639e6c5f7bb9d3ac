"""What stands where the parts of a running system will be: whoever uses it before is told so, and who uses it later pays nothing."""

from __future__ import annotations

from typing import NoReturn

from ..protocols.errors import SystemStopped


class Unopened:
    """Any use of it raises SystemStopped."""

    def __getattr__(self, name: str) -> NoReturn:
        raise not_open()


def not_open() -> SystemStopped:
    """The system was not entered."""
    return SystemStopped("the system is not open", hint="use it inside 'async with us.System(...) as system:'")
