"""``us.builtin.clock``: what time it is, as the journal has it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from ...protocols.errors import ChangeArguments
from ...protocols.tool import Call
from ..declaring import SyncTool, tool


class Moment(Struct, frozen=True):
    """A moment.

    Attributes:
        text: date, time and offset (ISO 8601, to the second).
        weekday: in English.
        unix: seconds since 1970-01-01 UTC.
    """

    text: str
    weekday: str
    unix: float


Zone = Annotated[str, Meta(description="IANA time zone, such as Europe/Oslo. If missing: UTC.", max_length=100)]


def clock() -> SyncTool[..., Moment]:
    """A tool ``clock`` that says what time it is.

    Its time is the journal's at which it was asked: a replay, a simulation and a second attempt hear the same.
    """

    @tool(effect="read", name="clock", kind="read", trusted=True, private=False)
    def now(call: Call, zone: Zone = "UTC") -> Moment:
        """The present date and time in a time zone, with the weekday. For "today", "in two hours" and the like."""
        try:
            where = UTC if zone == "UTC" else ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ChangeArguments(
                f"there is no time zone {zone!r}", hint="an IANA name, such as Europe/Oslo"
            ) from error
        at = call.at or time.time()  # called directly, it is in no journal
        moment = datetime.fromtimestamp(at, UTC).astimezone(where)
        return Moment(moment.isoformat(timespec="seconds"), f"{moment:%A}", at)

    return now
