"""The tree as it stands: by a running system, and by the journal alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner

import understudy as us
from tests.actors.crew import Break
from understudy.protocols.ids import Address
from understudy.supervisor.cli.app import app
from understudy.supervisor.supervision.decisions import decisions
from understudy.supervisor.supervision.live import StartChild, StopChild
from understudy.supervisor.supervision.overview import overview
from understudy.testing import Simulated


class Ping(us.Request[str]):
    """Are you there?"""


class Kid(us.Actor):
    """Answers, and fails when it is told to."""

    @us.handles(Ping)
    def ping(self, turn: us.Turn[us.State], msg: Ping) -> str:
        return "pong"

    @us.handles(Break)
    def break_it(self, turn: us.Turn[us.State], msg: Break) -> int:
        raise ValueError("a \x1b[31mred\x1b[0m lie")


SLOW = us.Backoff(base=1_000.0, cap=1_000_000.0)


def shop() -> us.Supervisor:
    back = us.Supervisor("back", [us.Child("oven", Kid), us.Pool("jobs/{n}", Kid)], strategy="one_for_all")
    return us.Supervisor("shop", [us.Child("till", Kid), back, us.Child("carts/{id}", Kid)], backoff=SLOW)


def find(node: us.TreeNode, address: str) -> us.TreeNode:
    """A node anywhere in the tree."""
    if node.address == address:
        return node
    for child in node.children:
        try:
            return find(child, address)
        except LookupError:
            continue
    raise LookupError(address)


def _due(root: us.TreeNode, address: str) -> bool:
    try:
        return find(root, address).due is not None
    except LookupError:
        return False


def seen(board: Simulated, *, defined: bool = True) -> us.TreeNode:
    opened = board.journal.reload()
    return overview(
        board.journal.actors(), board.journal.stream, opened.mail, opened.effects, board.now,
        board.tree.directory if defined else None,
    )  # fmt: skip


def test_it_shows_who_keeps_whom_going_in_the_order_of_starts() -> None:
    board = Simulated(shop())
    board.rest()
    root = seen(board)
    assert [node.address for node in root.children] == ["shop"]
    assert [node.address for node in find(root, "shop").children] == ["till", "back"]
    assert [(node.address, node.status) for node in find(root, "back").children] == [("oven", "running")]


@pytest.mark.parametrize("defined", [True, False])
def test_it_shows_restarts_against_the_limit_the_wait_and_the_mail_that_is_held(defined: bool) -> None:
    board = Simulated(shop())
    board.rest()
    for _ in range(2):
        board.ask("till", Break("x"))
        board.ask("carts/7", Break("x"))
    board.tell("till", Ping())
    while not all(_due(seen(board), who) for who in ("till", "carts/7")):
        assert board.step()
    root = seen(board, defined=defined)
    desk, till, cart = find(root, "shop"), find(root, "till"), find(root, "carts/7")
    assert (desk.restarts, desk.limit) == (2, us.Intensity(3, 5.0))
    assert (till.status, till.incarnation, till.mailbox) == ("waiting", 1, 1)
    assert till.oldest is not None
    assert till.due is not None
    assert "red" in till.failure
    assert cart.restarts == 2
    assert cart in desk.children, "its supervisor knows it, since it failed"


@pytest.mark.parametrize("pool", ["root", "back"])
async def test_members_of_a_pool_that_were_deleted_are_not_shown_whoever_looks(tmp_path: Path, pool: str) -> None:
    """Their supervisor knows nothing of them any more, and nobody took their place."""
    path, template = tmp_path / "shop.db", "spare" if pool == "root" else "jobs"
    definitions = (shop(), us.Pool("spare/{n}", Kid))
    async with us.System(*definitions, journal=path) as system:
        handle = system.supervisor(pool)
        for n in (1, 2):
            await handle.start(f"{template}/{n}")
        await handle.stop(f"{template}/1")
        await system.rest()
        live = await system.overview()
    assert find(live, f"{template}/2").kind == "member"
    with pytest.raises(LookupError):
        find(live, f"{template}/1")
    shown = CliRunner().invoke(app, ["tree", str(path), "--all"]).output
    assert f"{template}/2  " in shown
    assert f"{template}/1" not in shown


def test_a_deleted_member_of_whom_something_is_open_is_shown_with_its_supervisor() -> None:
    node = Simulated(shop(), seed=1)
    node.ask("back", StartChild(Address("jobs/1")))
    node.pass_time(10)
    lines, now = node.journal.actors(), node.now
    rows = {line.address: node.journal.stream(line.address, 0) for line in lines}
    node.ask("back", StopChild(Address("jobs/1")))
    node.pass_time(10)
    rows[Address("back")] = node.journal.stream(Address("back"), 0)
    found = overview(lines, lambda address: rows.get(address, ()), (), (), now)
    assert find(find(found, "back"), "jobs/1").kind == "member", "it has not ended yet, as far as its own rows say"


async def test_a_running_system_and_the_command_show_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    async with us.System(shop(), journal=path) as system:
        assert await system.ask("till", Ping()) == "pong"
        assert await system.ask("carts/7", Ping()) == "pong"
        await system.supervisor("back").start("jobs/1")
        await system.rest()
        inside = await system.overview()
        assert find(inside, "jobs/1").kind == "member"
    shown = CliRunner().invoke(app, ["tree", str(path), "--json"])
    assert shown.exit_code == 0
    outside = us.TreeNode  # the same shape
    assert json.loads(shown.stdout)["address"] == "root"
    assert set(json.loads(shown.stdout)) <= set(outside.__struct_fields__)
    drawn = CliRunner().invoke(app, ["tree", str(path)])
    assert "├─ till  running" in drawn.stdout.replace("│  ", "")
    assert "member" in drawn.stdout


def test_what_others_wrote_gives_the_terminal_no_orders(tmp_path: Path) -> None:
    async def fail() -> None:
        async with us.System(shop(), journal=tmp_path / "a.db") as system:
            for _ in range(2):
                with pytest.raises(us.AskFailed):
                    await system.ask("till", Break("x"))
            while find(await system.overview(), "till").status != "waiting":
                await anyio.lowlevel.checkpoint()

    anyio.run(fail)
    drawn = CliRunner().invoke(app, ["tree", str(tmp_path / "a.db")], color=False)
    assert "lie" in drawn.stdout
    assert "\x1b[31mred" not in drawn.stdout


def test_watching_goes_on_until_it_is_interrupted_and_bad_words_are_refused(tmp_path: Path) -> None:
    async def make() -> None:
        async with us.System(shop(), journal=tmp_path / "a.db"):
            pass

    anyio.run(make)
    command = [sys.executable, "-m", "understudy", "tree", str(tmp_path / "a.db"), "--watch", "--every", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("root") and running.stdout.readline():
                break
        running.send_signal(2)
        running.communicate(timeout=20)
    assert running.returncode == 130
    for words, code in ((["nowhere.db"], 2), (["nix:nix"], 2), ([str(tmp_path / "a.db"), "-j", "b.db"], 2)):
        run = subprocess.run(
            [sys.executable, "-m", "understudy", "tree", *words], check=False, capture_output=True, text=True
        )
        assert run.returncode == code, run.stderr
        assert not run.stdout


def test_every_decision_reads_as_one_line_that_says_who_why_and_what() -> None:
    board = Simulated(
        us.Supervisor("crew", [us.Child("a", Kid), us.Child("b", Kid)], strategy="one_for_all", backoff=us.Backoff(0.0))
    )
    board.rest()
    for _ in range(4):
        board.ask("a", Break("x"))
        board.rest()
    lines = [f"{line.by} {line.text}" for line in decisions(board.journal.rows(limit=10_000))]
    assert lines[0].startswith("crew restarts a, with b (failure 1 in a row): crashed: ValueError")
    assert lines[3].startswith(
        "crew gives up, and its children are stopped: budget_exhausted: the children of crew failed more than"
    )
    assert "; because crashed: ValueError" in lines[3]
    assert lines[4].startswith("root restarts crew (failure 1 in a row): budget_exhausted")


async def test_a_supervisor_that_is_shown_tells_its_decisions_and_no_raw_event(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with us.System(us.Supervisor("crew", [us.Child("a", Kid)]), journal=path) as system:
        with pytest.raises(us.AskFailed):
            await system.ask("a", Break("x"))
        await system.rest()
    shown = CliRunner().invoke(app, ["show", "crew", "--journal", str(path)])
    assert "restarts a (failure 1 in a row): crashed: ValueError" in " ".join(shown.stdout.split())
    assert "supervisor." not in shown.stdout
