"""``us.Router``: the front door says who, and how sure it is; below its threshold a person decides."""

from __future__ import annotations

import pytest

import understudy as us


def desk(*routes: us.Route, at_least: float = 0.6) -> us.Supervisor:
    medical = us.Agent("medical", "Handle injuries. Quickly.", model=us.Scripted("Ambulance sent.", name="m"))
    fire = us.Agent("fire", "Handle fires.", model=us.Scripted("Engine sent.", name="f"))
    door = us.Router("door", "Tell calls apart.", model=us.Scripted(*routes), to=[medical, fire], at_least=at_least)
    return us.Supervisor("desk", [medical, fire], route=door)


async def test_who_is_sure_enough_decides() -> None:
    team = desk(us.Route("fire", 0.9, "smoke"))
    async with us.System(team) as system:
        result = await system.run(team, "Smoke over there", timeout=20)
    assert result.output == "Engine sent."
    assert result.result is not None
    assert result.result.by.endswith("/fire")
    assert result.result.steps == 2, "the front door's step counts too"


@pytest.mark.parametrize(
    "route",
    [us.Route("fire", 0.59, "maybe"), us.Route("person", 1.0, "no idea"), us.Route("plumber", 1.0, "water")],
    ids=["not sure", "says person", "nobody of that name"],
)
async def test_what_it_cannot_tell_goes_to_a_person_whose_answer_routes_it(route: us.Route) -> None:
    team = desk(route)
    async with us.System(team) as system:
        waiting = await system.run(team, "Something", id="r", timeout=20)
        assert waiting.status == "waiting"
        (item,) = waiting.waiting
        assert item.kind == "escalation"
        assert item.options == ("medical", "fire")
        assert route.why in item.text
        await system.answer(item.id, "answer", value="medical", by="ada")
        result = await system.run(team, "Something", id="r", timeout=20)
    assert result.output == "Ambulance sent."


async def test_a_person_may_answer_in_the_workers_place() -> None:
    team = desk(us.Route("person", 1.0, "no idea"))
    async with us.System(team) as system:
        waiting = await system.run(team, "Something", id="r", timeout=20)
        await system.answer(waiting.waiting[0].id, "answer", value={"sent": "nobody"}, by="ada")
        result = await system.run(team, "Something", id="r", timeout=20)
    assert result.output == {"sent": "nobody"}
    assert result.result is not None
    assert result.result.by == "ada"


async def test_a_person_may_say_no() -> None:
    team = desk(us.Route("person", 1.0, "a prank"))
    async with us.System(team) as system:
        waiting = await system.run(team, "Something", id="r", timeout=20)
        await system.reject(waiting.waiting[0].id, "a prank", by="ada")
        result = await system.run(team, "Something", id="r", timeout=20)
    assert result.status == "cannot"
    assert result.result is not None
    assert result.result.reason == "ada: a prank"


async def test_a_front_door_that_fails_leaves_it_to_a_person() -> None:
    medical = us.Agent("medical", "Handle injuries.", model=us.Scripted("Sent."))
    door = us.Router(
        "door", "Tell.", model=us.Scripted(us.Failure("abandon", "down", "the model is down")), to=[medical]
    )
    team = us.Supervisor("desk", [medical], route=door)
    async with us.System(team) as system:
        waiting = await system.run(team, "Something", timeout=20)
    assert waiting.status == "waiting"
    assert "the model is down" in waiting.waiting[0].text


def test_what_cannot_work_is_refused_when_it_is_declared() -> None:
    model = us.Scripted("x")
    worker = us.Agent("worker", "Work.", model=model)
    with pytest.raises(us.DefinitionError, match="nobody to route to"):
        us.Router("door", "x", model=model, to=[])
    with pytest.raises(us.DefinitionError, match="may not be called 'person'"):
        us.Router("door", "x", model=model, to=[us.Agent("person", "x", model=model)])
    with pytest.raises(us.DefinitionError, match="at_least"):
        us.Router("door", "x", model=model, to=[worker], at_least=1.5)
    other, door = us.Agent("other", "x", model=model), us.Router("door", "x", model=model, to=[worker])
    with pytest.raises(us.DefinitionError, match="who is no worker here"):
        us.Supervisor("desk", [other], route=door)
