"""Windows of ``us.Spending``: by the calendar of a time zone, whatever its clocks do, and whoever crashes in between."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from tests.tools.test_checks_budget import BOUND, PRICE, RUN, Till, came, think
from understudy.protocols.budget import Every, Spending
from understudy.protocols.envelope import Context
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.tools.windows import begins

ODD = {
    "Europe/Oslo": ("2026-03-29", "2026-10-25"),
    "America/St_Johns": ("2006-04-02", "2006-10-29"),  # at one past midnight
    "Asia/Gaza": ("2010-03-27", "2011-04-01"),
    "America/Sao_Paulo": ("2018-11-04", "2019-02-17"),  # there is no midnight; there are two
    "America/Havana": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),  # by half an hour
    "Pacific/Apia": ("2011-12-29", "2011-12-31"),  # a day that never was
    "Asia/Kathmandu": ("2026-01-01", "2028-02-29"),
    "UTC": ("2026-12-31", "2028-02-29"),
}
"""Days on which clocks, or the calendar, do something."""


@pytest.mark.parametrize("every", get_args(Every))
@pytest.mark.parametrize(("tz", "day"), [(tz, day) for tz, days in ODD.items() for day in days])
def test_a_window_has_begun_stays_begun_and_is_followed_by_the_next(tz: str, day: str, every: Every) -> None:
    """Time goes on by the minute: whatever the clocks do, no window begins in the future, and none comes back."""
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(tz)).timestamp()
    least = {"hour": 1_740.0, "day": 22 * 3_600.0, "week": 5.9 * 86_400.0, "month": 27.9 * 86_400.0}[every]
    last, starts = 0.0, list[float]()
    for minute in range(-36 * 60, 36 * 60):
        now = noon + 60.0 * minute + 0.5
        began = begins(every, tz, now)
        assert began <= now
        assert begins(every, tz, began) == began
        if began > last:
            starts.append(began)
            last = began
    assert all(b - a >= least for a, b in pairwise(starts[1:]))
    assert len(starts) >= {"hour": 68, "day": 3, "week": 1, "month": 1}[every]


@pytest.mark.parametrize(
    ("every", "tz", "now", "hours"),
    [
        ("day", "Europe/Oslo", "2026-03-29T23:30", 23),
        ("day", "Europe/Oslo", "2026-10-25T23:30", 25),
        ("month", "UTC", "2028-02-29T23:59", 29 * 24),
        ("month", "UTC", "2026-02-28T23:59", 28 * 24),
        ("week", "Europe/Oslo", "2026-03-29T23:59", 7 * 24 - 1),
        ("day", "Pacific/Apia", "2011-12-29T23:59", 24),
    ],
)
def test_a_window_is_as_long_as_the_calendar_says(every: Any, tz: str, now: str, hours: int) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo(tz)).timestamp()
    following = begins(every, tz, at + 3_600.0)
    assert following - begins(every, tz, at) == hours * 3_600.0


def day(till: Till, key: str = "budget/all/day") -> tuple[int, int]:
    account = till.account(key)
    return account.usd, account.held_usd


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_what_is_reserved_before_midnight_is_charged_to_the_day_in_which_it_ends() -> None:
    till = Till([Spending(every="day", usd=1.0)])
    till.now = at("2026-03-01T23:59:59")
    one = think("1.0")
    till.start(one)
    till.now = at("2026-03-02T00:00:01")
    till.book(one, came(200, 100))
    assert day(till) == (PRICE.nano(200, 100), 0)
    assert till.account("budget/all/day").began == at("2026-03-02T00:00:00")


def test_a_refund_after_its_window_gives_the_new_one_nothing() -> None:
    till = Till([Spending(every="day", usd=1.0)])
    till.now = at("2026-03-01T23:59:59")
    one, two = think("1.0"), think("2.0")
    till.start(one)
    till.start(two)
    till.now = at("2026-03-02T00:00:01")
    three = think("3.0")
    till.start(three)
    till.book(three, came(200, 100))
    spent = day(till)[0]
    for late in (one, two):
        till.book(late, us_failed())
    assert day(till) == (spent, 0), "nothing below what this day has spent, nothing left reserved"


def us_failed() -> Any:
    from understudy.protocols.effects import Attempt

    return Attempt(failure=Failure("retry_later", "rate_limited", "429"))


def test_a_window_that_is_no_longer_declared_gets_back_what_was_reserved_on_it() -> None:
    """Else its day would begin with that for ever, should it be declared again."""
    till = Till([Spending(every="day", usd=1.0), Spending(per="user", every="day", usd=1.0)])
    one = think("1.0", context=RUN)
    till.start(one)
    kept = till.check
    till.check = type(kept)([Spending(every="day", usd=1.0)], {"m": PRICE})
    till.book(one, came(200, 100))
    assert day(till) == (PRICE.nano(200, 100), 0)
    assert day(till, "budget/user/day/acme/ada") == (PRICE.nano(200, 100), 0)


@pytest.mark.parametrize("seed", range(15))
def test_no_user_spends_more_in_a_day_than_was_said_over_days_of_many_time_zones(seed: int) -> None:
    """Against a count of our own: each charge by the day in which it ended, each reservation until it ends."""
    draw = random.Random(seed)
    tz = draw.choice(list(ODD))
    zone = ZoneInfo(tz)
    till = Till([Spending(per="user", every="day", usd=0.08, tz=tz)])
    till.now = datetime.fromisoformat(draw.choice(ODD[tz])).replace(tzinfo=zone).timestamp() - 86_400.0
    open_calls: list[tuple[Any, str, int]] = []
    spent: dict[tuple[str, Any], int] = {}
    limit, let, refused = 80_000_000, 0, 0
    for n in range(400):
        till.now += draw.choice((1.0, 60.0, 1_800.0, 5_000.0))
        today = datetime.fromtimestamp(till.now, zone).date()
        user = draw.choice(("ada", "bob"))
        if draw.random() < 0.6:
            effect = think(f"{n}.0", context=Context(Address("a/1"), user, "acme"))
            ruling, _ = till.start(effect, answer=100)
            held = sum(usd for _, who, usd in open_calls if who == user)
            if ruling.verdict.verdict == "allow":
                let += 1
                reserved = day(till, f"budget/user/day/acme/{user}")[1] - held
                assert spent.get((user, today), 0) + held + reserved <= limit
                open_calls.append((effect, user, reserved))
            else:
                refused += 1
                least = PRICE.nano(BOUND, 100)
                assert spent.get((user, today), 0) + held + least > limit, "there was room"
        elif open_calls:
            effect, user, _ = open_calls.pop(draw.randrange(len(open_calls)))
            used = draw.randrange(1, BOUND), draw.randrange(1, 100)
            till.book(effect, came(*used))
            spent[user, today] = spent.get((user, today), 0) + PRICE.nano(*used)
            assert day(till, f"budget/user/day/acme/{user}")[0] == spent[user, today]
    assert let > 20
    assert refused > 20


def test_the_odd_days_are_odd() -> None:
    """Or the tests above would test nothing."""
    for tz, days in ODD.items():
        if tz in ("UTC", "Asia/Kathmandu"):
            continue
        zone = ZoneInfo(tz)
        for one in days:
            noon = datetime.fromisoformat(one).replace(hour=12, tzinfo=zone)
            before = (noon.astimezone(UTC) - timedelta(days=1.6)).astimezone(zone)
            after = (noon.astimezone(UTC) + timedelta(days=1.6)).astimezone(zone)
            assert before.utcoffset() != after.utcoffset() or tz == "Pacific/Apia", (tz, one)
