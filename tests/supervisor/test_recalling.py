"""Messages with keys: a look that fails fails its own message only, and none goes past the door of memory."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import anyio
import pytest

import understudy as us
from tests.actors.crew import Actor, Add
from understudy.actors.kernel import Kernel
from understudy.protocols.envelope import Envelope
from understudy.protocols.errors import JournalError
from understudy.protocols.ids import Address
from understudy.protocols.journal import Known
from understudy.supervisor import loading, recalling


def crew() -> us.Supervisor:
    return us.Supervisor("crew", [us.Child("a/{name}", Actor)])


async def test_a_damaged_row_fails_the_messages_with_its_key_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with us.System(crew(), journal=path) as system:
        await system.tell("a/ada", Add(1), key="k1")
        await system.tell("a/ada", Add(1), key="k2")
        await system.rest()
    file = sqlite3.connect(path)
    where = "gid = (SELECT gid FROM keys WHERE key = 'k1')"
    assert file.execute(f"UPDATE rows SET payload = '{{' WHERE {where}").rowcount == 1
    file.commit()
    file.close()
    told: dict[str, str] = {}
    async with us.System(crew(), journal=path) as system:

        async def tell(to: str, key: str) -> None:
            try:
                with anyio.fail_after(20):
                    await system.tell(to, Add(1), key=key)
            except us.AskFailed as error:
                told[f"{to} {key}"] = f"{error.failure.kind} {error.failure.code} {error.failure.where}"
            else:
                told[f"{to} {key}"] = "taken"

        async with anyio.create_task_group() as tasks:
            for to, key in (("a/ada", "k1"), ("a/ada", "k2"), ("a/bob", "k1"), ("a/bob", "new"), ("a/bob", "")):
                tasks.start_soon(tell, to, key)
    assert told.pop("a/ada k1") == "abandon unreadable a/ada"
    assert told == dict.fromkeys(("a/ada k2", "a/bob k1", "a/bob new", "a/bob "), "taken")


async def test_a_journal_in_which_no_key_can_be_looked_up_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalling, "FIRST_WAIT", 0.0)
    async with us.System(crew(), journal=tmp_path / "a.db") as system:
        recall, tries = system._shell.journal.recall, 0

        async def away(pairs: tuple[tuple[Address, str], ...]) -> tuple[Known | None, ...]:
            nonlocal tries
            tries += 1
            raise JournalError("the disk is away")

        monkeypatch.setattr(system._shell.journal, "recall", away)
        with pytest.raises(us.AskFailed, match="cannot be looked up") as refused:
            await system.ask("a/ada", Add(1), key="k", timeout=20)
        assert (refused.value.failure.kind, refused.value.failure.code) == ("retry_later", "unloaded")
        assert tries == 1 + loading.TRIES
        monkeypatch.setattr(system._shell.journal, "recall", recall)
        assert await system.ask("a/ada", Add(1), key="k", timeout=20) == 1, "it was not taken before"


@pytest.mark.parametrize("keyed", [1, 2], ids=["all", "every other"])
async def test_messages_with_keys_wait_at_the_door_of_memory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyed: int
) -> None:
    async with us.System(crew(), journal=tmp_path / "a.db", in_memory=2) as system:
        most = 0
        deliver = Kernel.deliver

        def counted(self: Kernel, envelope: Envelope, input: str, looked: Known | None = None) -> None:
            nonlocal most
            deliver(self, envelope, input, looked)
            most = max(most, len(self.residents.cells))

        monkeypatch.setattr(Kernel, "deliver", counted)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for n in range(50):
                    tasks.start_soon(partial(system.tell, f"a/{n}", Add(1), key="" if n % keyed else "k"))
        assert most == 4
        assert len(await system.actors("a")) == 50


async def test_with_and_without_keys_messages_to_one_actor_keep_their_order_at_the_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with us.System(crew(), journal=tmp_path / "a.db", in_memory=1) as system:
        came: dict[str, list[int]] = {}
        deliver = Kernel.deliver

        def seen(self: Kernel, envelope: Envelope, input: str, looked: Known | None = None) -> None:
            came.setdefault(envelope.to, []).append(int(input.removeprefix("in:")))
            deliver(self, envelope, input, looked)

        monkeypatch.setattr(Kernel, "deliver", seen)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for n in range(120):
                    key = f"k{n}" if n % 3 == 1 else ""
                    tasks.start_soon(partial(system.tell, f"a/{n // 6}", Add(1), key=key))
        assert all(order == sorted(order) for order in came.values()), came
        assert sum(map(len, came.values())) == 120
