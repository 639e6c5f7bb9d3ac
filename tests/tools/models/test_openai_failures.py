"""When a server wants to be asked again."""

from datetime import UTC, datetime

import pytest

from understudy.tools.models.openai_failures import retry_after

NOON = datetime(2025, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Fri, 21 Nov 2025 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Fri, 21 Nov 2025 13:01:30 +0100"}, 90.0),
        ({"retry-after": "Fri, 21 Nov 2025 12:01:30"}, 90.0),
        ({"retry-after": "Fri, 21 Nov 2025 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 5_000}, None),
        ({"retry-after": "Fri, 21 Nov 99999999999999999999 12:00:00 GMT"}, None),
        ({"retry-after": "Fri, 99999999999 Nov 2025 12:00:00 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_the_wait_is_read_from_milliseconds_seconds_or_a_date_and_nonsense_is_none(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, lambda: NOON) == seconds
