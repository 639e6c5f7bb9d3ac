"""The models of the desk that need no provider: rules that score what the caller says.

They are the last rung of a fallback chain as much as a way to run the example offline. The front door adds up the signs
of each service and says how sure it is; a specialist goes from protocol to units to proposal, one step in an answer.
Both would rather hand a call to a person than guess.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import TypeAlias

import msgspec

import understudy as us

from .advice import Advice
from .protocols import Protocol
from .reading import field, german, place
from .signs import (
    ASKS_FOR_A_DOSE,
    ASKS_FOR_PERSONAL_DATA,
    IN_CODE,
    LIFE_AT_RISK,
    OUT_OF_AREA,
    POINTERS,
    SERVICES,
    TAKEN_BACK,
    Signs,
)
from .tools import Proposal, Units

Move: TypeAlias = us.Say | us.Use | us.Cannot


def front_door() -> us.Rules:
    """Which service a call is for, and how sure that is."""
    to_person = [
        us.Rule(then=_person("the caller speaks of ending their life"), score=LIFE_AT_RISK),
        us.Rule(then=_person("this can be a call for help in code"), score=IN_CODE),
        us.Rule(then=_person("the caller takes it back: somebody should ring back and hear why"), score=TAKEN_BACK),
    ]
    to_service = [us.Rule(then=_route(service), score=_all_signs(service)) for service in SERVICES]
    return us.Rules("front_door", [*to_person, *to_service], otherwise=_person("nothing said here tells what it is"))


def specialist(service: str) -> us.Rules:
    """Protocol, units, proposal, answer; or why that cannot be done."""
    refuse = [us.Rule(then=us.Cannot(reason), score=signs, before=("lookup_protocol",)) for reason, signs in _REFUSE]
    look_up = [
        us.Rule(
            then=us.Use("lookup_protocol", {"service": service, "keyword": keyword}),
            score=signs,
            before=("lookup_protocol",),
        )
        for keyword, signs in SERVICES[service].items()
    ]
    go_on = [
        us.Rule(then=_ask_units, after=("lookup_protocol",), before=("unit_status", "propose_dispatch")),
        us.Rule(then=_propose, after=("unit_status",), before=("propose_dispatch",)),
        us.Rule(then=_answer, after=("propose_dispatch",)),
    ]
    return us.Rules(
        service, [*refuse, *look_up, *go_on], otherwise=us.Cannot(f"no {service} protocol fits what is said here")
    )


_REFUSE: tuple[tuple[str, Signs], ...] = (
    ("it is outside the area of this desk: the control room there has to be told", OUT_OF_AREA),
    ("how much of a medicine to take is for a doctor to say, not for this desk", ASKS_FOR_A_DOSE),
    ("this desk gives nobody's personal data to callers", ASKS_FOR_PERSONAL_DATA),
)


def weigh(text: str, signs: Signs) -> float:
    """The sum of the weights of the signs that the text shows."""
    text = unicodedata.normalize("NFC", text)  # an umlaut is one letter, however it was typed
    return sum(weight for pattern, weight in signs.items() if re.search(pattern, text, re.IGNORECASE))


def confidence(text: str, service: str) -> float:
    """How sure it is that a call is for this service, 0 to 1: strong signs for it, and few for the others.

    One hint alone is half sure; as much for another service as for this one is a little more than that (0.56).
    """
    mine = weigh(text, _all_signs(service))
    other = max(weigh(text, _all_signs(name)) for name in SERVICES if name != service)
    if mine <= 0:
        return 0.0
    return round(min(1.0, mine / 2) * mine / (mine + 0.8 * max(0.0, other)), 2)


def _all_signs(service: str) -> Signs:
    together = dict(POINTERS[service])
    for signs in SERVICES[service].values():
        together.update(signs)
    return together


def _person(why: str) -> us.Say:
    return us.Say(us.Route(to="person", confidence=1.0, why=why))


def _route(service: str) -> Callable[[us.Facts], us.Say]:
    def route(facts: us.Facts) -> us.Say:
        sure = confidence(facts.text, service)
        seen = [keyword for keyword, signs in SERVICES[service].items() if weigh(facts.text, signs) >= 1]
        return us.Say(us.Route(to=service, confidence=sure, why=f"signs of {', '.join(seen)}"))

    return route


def _ask_units(facts: us.Facts) -> Move:
    protocol = _protocol(facts)
    if protocol is None:
        return us.Cannot(f"the protocol cannot be looked up: {_last_failure(facts, 'lookup_protocol')}")
    if protocol.unit is None:
        return us.Say(_advice(facts, protocol, f"{protocol.title}: advice only"))
    return us.Use("unit_status", {"kind": protocol.unit, "district": field(facts.text, "district") or "unknown"})


def _propose(facts: us.Facts) -> Move:
    protocol = _protocol(facts)
    if protocol is None:
        return us.Cannot("units without a protocol")
    answers = facts.results.get("unit_status")
    if not answers:
        failure = _last_failure(facts, "unit_status")
        elsewhere = re.search(r"ask for district: (\w+)", failure)
        if elsewhere is None or len(facts.failures["unit_status"]) > 1:
            return us.Cannot(f"{protocol.title}, but no unit can be found: {failure}")
        return us.Use("unit_status", {"kind": protocol.unit, "district": elsewhere[1]})
    units = msgspec.convert(answers[-1], Units)
    if not units.free:
        why = "; ".join(f"{unit}: {reason}" for unit, reason in units.away.items())
        return us.Cannot(f"{protocol.title}, and no {units.kind} is free ({why}): a person has to find another way")
    nearest = units.free[0]
    return us.Use(
        "propose_dispatch",
        {
            "unit": nearest.unit,
            "priority": protocol.priority,
            "address": place(facts.text) or f"not understood; the telephone is in {field(facts.text, 'district')}",
            "reason": f"{protocol.code} {protocol.title}; {nearest.minutes} minutes away",
        },
    )


def _answer(facts: us.Facts) -> Move:
    protocol = _protocol(facts)
    if protocol is None:
        return us.Cannot("a proposal without a protocol")
    answers = facts.results.get("propose_dispatch")
    if not answers:
        return us.Say(
            _advice(facts, protocol, f"{protocol.title}: not proposed, {_last_failure(facts, 'propose_dispatch')}")
        )
    if answers[-1] is None:  # it was in doubt, and a person says only that it happened
        return us.Say(
            _advice(facts, protocol, f"{protocol.title}: a dispatcher says that the proposal is on the board")
        )
    done = msgspec.convert(answers[-1], Proposal)
    return us.Say(_advice(facts, protocol, f"{protocol.title}: {done.unit} proposed to {done.address}", done))


def _protocol(facts: us.Facts) -> Protocol | None:
    answers = facts.results.get("lookup_protocol")
    return msgspec.convert(answers[-1], Protocol) if answers else None


def _last_failure(facts: us.Facts, tool: str) -> str:
    return facts.failures.get(tool, ("no answer",))[-1]


def _advice(facts: us.Facts, protocol: Protocol, summary: str, proposal: Proposal | None = None) -> Advice:
    return Advice(
        service=protocol.service,
        priority=protocol.priority,
        advice=protocol.advice_de if german(facts.text) else protocol.advice_en,
        unit=proposal.unit if proposal else None,
        proposal=proposal.id if proposal else None,
        summary=summary,
    )
