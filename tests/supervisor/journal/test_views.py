"""The views say what the schema's documentation promises, to any SQLite tool."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.contracts.author import ADA, BOB, Author, effect, envelope, line
from understudy.protocols.approvals import Question
from understudy.protocols.codec import encode
from understudy.protocols.effects import Effect
from understudy.protocols.envelope import OUTCOME, Context, OutcomeBody
from understudy.protocols.failures import Failure
from understudy.protocols.journal import Batch, Record, StoredEvent
from understudy.protocols.model import ModelReply, Usage
from understudy.supervisor.journal.sqlite import SqliteJournal

Query = Callable[[str], list[dict[str, Any]]]

ON_BEHALF = Context(run=ADA, user="ada", tenant="acme", session="s1")
ASKED = Question("approval", "Pay 70 USD?", policy="large@1", deadline=2_000.0)
TIMEOUT = Failure("retry_later", "timeout", "the bank did not answer", hint="try later")
BROKEN = Failure("abandon", "crashed", "KeyError: 'usd'", cause=TIMEOUT)


@pytest.fixture
def query(tmp_path: Path) -> Iterator[Query]:
    """A small team's work, as another program sees the file."""
    author = Author()
    think = Effect("2.0", ADA, "think", "openai:gpt", Raw(b"1"), "answered", context=ON_BEHALF)
    pay = effect("2.1", "asking", context=ON_BEHALF, question=ASKED, digest="d1", at=1_002.0)
    doubt = effect("6.0", "in_doubt", context=ON_BEHALF, question=Question("in_doubt", "Was it paid?"))
    reply = ModelReply("hello", usage=Usage(120, 30), model="gpt-5-mini", cost=0.25)
    answer = Raw(encode(OutcomeBody("2.0", "answered", value=Raw(encode(reply)))))
    outcome = envelope("3.0", ADA, wire=OUTCOME, body=answer, context=ON_BEHALF)
    to_bob = envelope("4.0", BOB, sender=ADA)
    rows = (
        author.row(ADA, Record(message=envelope("outside:1")), kind="accepted"),
        author.row(ADA, Record(took="outside:1", effects=(think, pay)), cause="outside:1"),
        author.row(ADA, Record(message=outcome), kind="settled", cause="2.0"),
        author.row(ADA, Record(took="3.0", sends=(to_bob,), events=(StoredEvent("paid", Raw(b"{}")),)), cause="3.0"),
        author.row(BOB, Record(took="4.0", failure=BROKEN), kind="failed", cause="4.0"),
        author.row(
            ADA,
            Record(effects=(doubt,), changes=(msgspec.structs.replace(think, state="waiting", failure=TIMEOUT),)),
            kind="attempt",
            cause="2.0",
        ),
        author.row(BOB, Record(message=envelope("outside:2", BOB), failure=TIMEOUT), kind="parked", cause="outside:2"),
        author.row(BOB, Record(took="4.0"), kind="parked", cause="4.0"),
        author.system(epoch="1"),
    )
    lines = (
        msgspec.structs.replace(line(ADA, 5, at=1_006.0, turns=2), context=ON_BEHALF),
        msgspec.structs.replace(line(BOB, 2, at=1_007.0, turns=1), context=ON_BEHALF, incarnation=1, life="restarting"),
    )
    path = tmp_path / "desk.db"
    journal = SqliteJournal(path)
    journal.open()
    first = msgspec.structs.replace(lines[0], at=1_002.0, turns=1, life="running")
    journal.append(Batch(rows[:2], actors=(first,), effects=(pay,)))
    journal.append(Batch(rows[2:], actors=lines, effects=(doubt, effect("6.1", "started"))))
    journal.close()
    tool = sqlite3.connect(path)  # closed by us before it: never two SQLites on one open file
    tool.row_factory = sqlite3.Row
    yield lambda view: [dict(row) for row in tool.execute(f"SELECT * FROM {view}")]
    tool.close()


def test_runs_say_where_each_run_stands(query: Query) -> None:
    assert query("runs") == [
        {
            "run": "desk/ada", "life": "running", "began": 1_002.0, "at": 1_007.0, "actors": 2, "turns": 3,
            "restarts": 1, "user": "ada", "tenant": "acme", "session": "s1", "cost": 0.25, "waiting": 2,
        }
    ]  # fmt: skip


def test_steps_say_what_each_turn_took_and_did(query: Query) -> None:
    steps = query("steps")
    assert [(s["gid"], s["actor"], s["kind"], s["wire"], s["effects"]) for s in steps] == [
        (2, "desk/ada", "turn", "test.hello", '["openai:gpt","pay"]'),
        (4, "desk/ada", "turn", "us.outcome", "[]"),
        (5, "desk/bob", "failed", "test.hello", "[]"),
    ]
    assert (steps[1]["events"], steps[1]["sends"]) == ('["paid"]', '["desk/bob"]')
    assert (steps[2]["message"], steps[2]["code"], steps[2]["run"]) == ('{"name":"Ada"}', "crashed", "desk/ada")


def test_spend_says_what_each_model_call_cost_and_on_whose_behalf(query: Query) -> None:
    assert query("spend") == [
        {
            "gid": 3, "at": 1_003.0, "run": "desk/ada", "actor": "desk/ada", "user": "ada", "tenant": "acme",
            "session": "s1", "effect": "2.0", "model": "gpt-5-mini", "input_tokens": 120, "output_tokens": 30,
            "estimated": 0, "cost": 0.25,
        }
    ]  # fmt: skip


def test_failures_say_what_failed_and_why(query: Query) -> None:
    found = query("failures ORDER BY gid")
    assert [(f["gid"], f["row_kind"], f["actor"], f["item"], f["name"], f["kind"], f["code"]) for f in found] == [
        (5, "failed", "desk/bob", "4.0", None, "abandon", "crashed"),
        (6, "attempt", "desk/ada", "2.0", "openai:gpt", "retry_later", "timeout"),
        (7, "parked", "desk/bob", "outside:2", None, "retry_later", "timeout"),
    ]
    assert '"code":"timeout"' in found[0]["causes"]


def test_approvals_say_what_people_are_asked(query: Query) -> None:
    found = query("approvals")
    assert [(a["id"], a["kind"], a["text"]) for a in found] == [
        ("2.1", "approval", "Pay 70 USD?"),
        ("6.0", "in_doubt", "Was it paid?"),
    ]
    assert found[0] == {
        "id": "2.1", "kind": "approval", "text": "Pay 70 USD?", "policy": "large@1", "deadline": 2_000.0,
        "actor": "desk/ada", "run": "desk/ada", "user": "ada", "tenant": "acme", "session": "s1", "verb": "call",
        "name": "pay", "args": '{"usd":70}', "digest": "d1", "asked_at": 1_002.0,
    }  # fmt: skip


def test_dead_letters_say_whose_they_were(query: Query) -> None:
    found = query("dead_letters")
    assert [(d["gid"], d["item"], d["to"], d["sender"], d["wire"], d["why"], d["code"]) for d in found] == [
        (5, "4.0", "desk/bob", "desk/ada", "test.hello", "failed", "crashed"),
        (7, "outside:2", "desk/bob", None, "test.hello", "parked", "timeout"),
    ]
