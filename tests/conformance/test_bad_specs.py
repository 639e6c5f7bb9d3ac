"""Whatever breaks a rule is refused where it is defined, with the field named. (OTP: supervisor_SUITE, sup_flags, check_specs)"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import understudy as us
from tests.conformance.part import Fleeting, Part
from understudy.testing import Simulated

AN_AGENT = us.Agent("clerk", "Helps.", model=us.Scripted("done"))


def sup(**options: Any) -> us.Supervisor:
    return us.Supervisor("team", [us.Child("a", Part)], **options)


def child(**options: Any) -> us.Child:
    return us.Child("a", Part, **options)


def pool(template: str = "jobs/{key}", actor: Any = Part, **options: Any) -> us.Pool:
    return us.Pool(template, actor, **options)


async def waits(failure: us.Failure) -> str:
    return "restart"


def yields(failure: us.Failure) -> Iterator[str]:
    yield "restart"


BAD: list[tuple[str, Callable[[], Any]]] = [
    ("strategy", lambda: sup(strategy="one_for_some")),
    ("strategy", lambda: sup(strategy=None)),
    ("strategy", lambda: sup(strategy=["one_for_one"])),
    ("auto_shutdown", lambda: sup(auto_shutdown="sometimes")),
    ("on_restart", lambda: sup(on_restart="stale")),
    ("intensity", lambda: sup(intensity=3)),
    ("intensity.max_restarts", lambda: sup(intensity=us.Intensity(-1, 5.0))),
    ("intensity.max_restarts", lambda: sup(intensity=us.Intensity(True, 5.0))),
    ("intensity.max_restarts", lambda: sup(intensity=us.Intensity(1.5, 5.0))),  # type: ignore[arg-type]
    ("intensity.within", lambda: sup(intensity=us.Intensity(1, 0.0))),
    ("intensity.within", lambda: sup(intensity=us.Intensity(1, -5.0))),
    ("intensity.within", lambda: sup(intensity=us.Intensity(1, math.nan))),
    ("intensity.within", lambda: sup(intensity=us.Intensity(1, math.inf))),
    ("intensity.within", lambda: sup(intensity=us.Intensity(1, True))),
    ("slow", lambda: sup(slow=100)),
    ("slow.max_restarts", lambda: sup(slow=us.Intensity(-1, 5.0))),
    ("backoff", lambda: sup(backoff=1.0)),
    ("backoff.base", lambda: sup(backoff=us.Backoff(base=-1.0))),
    ("backoff.cap", lambda: sup(backoff=us.Backoff(cap=math.nan))),
    ("backoff.reset", lambda: sup(backoff=us.Backoff(reset=math.inf))),
    ("decide", lambda: sup(decide=3)),
    ("decide", lambda: sup(decide=waits)),
    ("decide", lambda: sup(decide=yields)),
    ("workers", lambda: us.Supervisor("team", child())),  # type: ignore[arg-type]
    ("workers", lambda: us.Supervisor("team", None)),  # type: ignore[arg-type]
    ("decide", lambda: sup(decide={"KeyError": "explode"})),
    ("decide", lambda: sup(decide={"": "stop"})),
    ("decide", lambda: sup(decide={3: "stop"})),
    ("restart", lambda: sup(restart="often")),
    ("shutdown", lambda: sup(shutdown=-1.0)),
    ("significant", lambda: sup(significant="yes")),
    ("restart", lambda: child(restart="often")),
    ("restart", lambda: child(restart=None)),
    ("shutdown", lambda: child(shutdown=-1.0)),
    ("shutdown", lambda: child(shutdown=math.nan)),
    ("shutdown", lambda: child(shutdown=True)),
    ("shutdown", lambda: child(shutdown="soon")),
    ("start", lambda: child(start=0.0)),
    ("start", lambda: child(start=-1)),
    ("start", lambda: child(start=math.inf)),
    ("on_restart", lambda: child(on_restart="stale")),
    ("backoff", lambda: child(backoff=3)),
    ("budget", lambda: child(budget=3)),
    ("budget.max_restarts", lambda: child(budget=us.Intensity(-1, 5.0))),
    ("significant", lambda: child(significant=1)),
    ("significant", lambda: child(significant=True, restart="permanent")),
    ("significant", lambda: us.Supervisor("team", [child(significant=True)])),
    ("jobs", lambda: pool("jobs")),
    ("memory-only", lambda: pool(actor=Fleeting)),
    ("max_children", lambda: pool(max_children=0)),
    ("max_children", lambda: pool(max_children=True)),
    ("max_children", lambda: pool(max_children=2.5)),
    ("counts", lambda: pool(counts="yes")),
    ("no us.Actor", lambda: us.Child("a", object())),  # type: ignore[arg-type]
    ("address", lambda: us.Child("a b", Part)),
    ("address", lambda: us.Child("", Part)),
    ("address", lambda: us.Supervisor("", [child()])),
    ("no workers", lambda: us.Supervisor("team", [])),
    ("no worker", lambda: us.Supervisor("team", [Part])),  # type: ignore[list-item]
    ("'a'", lambda: us.Supervisor("team", [child(), child()])),
    ("'team'", lambda: us.Supervisor("team", [us.Supervisor("team", [child()])])),
    ("forget whom to answer", lambda: us.Supervisor("team", [AN_AGENT], on_restart="fresh")),
]


@pytest.mark.parametrize(("field", "make"), BAD, ids=[f"{n} {field}" for n, (field, _) in enumerate(BAD)])
def test_an_illegal_spec_is_refused_with_the_field_named(field: str, make: Callable[[], Any]) -> None:
    with pytest.raises(us.DefinitionError) as caught:
        Simulated(make())
    assert field in str(caught.value)


@pytest.mark.parametrize("mount", [Simulated, us.System], ids=["simulated", "real"])
def test_an_address_is_mounted_once_in_the_whole_tree(mount: Callable[..., object]) -> None:
    inner = us.Supervisor("inner", [child()])
    mounted_twice: list[tuple[list[Any], str]] = [
        ([us.Supervisor("outer", [inner, us.Child("b", Part)]), us.Supervisor("other", [us.Child("b", Part)])], "b"),
        ([us.Supervisor("outer", [inner]), us.Child("a", Part)], "a"),
        ([us.Supervisor("outer", [inner]), inner], "inner"),
        ([us.Supervisor("outer", [inner]), us.Supervisor("other", [inner])], "inner"),
        ([inner, us.Supervisor("a", [us.Child("c", Part)])], "a"),
        ([us.Supervisor("t", [us.Child("x/{key}", Part)]), us.Supervisor("u", [us.Child("x/1", Part)])], "x/1"),
    ]
    for definitions, name in mounted_twice:
        with pytest.raises(us.DefinitionError, match=name):
            mount(*definitions)


def test_a_supervisor_is_not_mounted_inside_itself() -> None:
    inner = us.Supervisor("inner", [child()])
    inner.supervisors = (inner,)
    with pytest.raises(us.DefinitionError, match="inner"):
        Simulated(inner)
