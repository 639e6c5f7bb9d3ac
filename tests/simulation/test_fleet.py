"""Memory-only and durable actors that ask, tell, forward, fail and stop each other under crashes and failed commits."""

from __future__ import annotations

import random

import pytest

import understudy as us
from tests import soak
from tests.actors.fleet import Break, Listed, Pass, team
from understudy.actors.kernel import Kernel
from understudy.actors.mailbox import Item
from understudy.protocols.envelope import Envelope
from understudy.testing import Faults, Sent, Simulated

SEEDS = soak.count("fleets")
STORM = Faults(crash=0.01, commit_fails=0.05, commit_unknown=0.05)


def request(draw: random.Random, to: str) -> us.Request[object]:
    if to == "s/a":
        return draw.choice((Listed(), Break()))
    other = draw.choice(("m/a", "m/b", "m/c", "d/a", "d/b"))
    if to.startswith("m/") and draw.random() < 0.05:
        return Pass("", "stop")
    how = draw.choice(("1", "1", "tell", "forward", "break", "keep", "release", "listed", "raise"))
    return Listed() if how == "listed" else Break() if how == "raise" else Pass(other, how)


def storm(seed: int) -> tuple[Simulated, list[Sent]]:
    """Forty requests, then calm: whoever was given up is begun anew."""
    options = us.Intensity(max_restarts=50, within=1.0)
    node, draw, sent = Simulated(team(intensity=options), seed=seed, faults=STORM), random.Random(seed), list[Sent]()
    for _ in range(40):
        to = draw.choice(("m/a", "m/b", "d/a", "d/b", "s/a"))
        sent.append(node.ask(to, request(draw, to)))
        for _ in range(draw.randint(0, 6)):
            node.step()
    node.faults = Faults()
    for _ in range(30):
        node.rest()
        for item in node.inbox():
            node.answer(item.id, "approve")
    return node, sent


def unanswered(sent: Sent) -> bool:
    """Nobody answered, or said that nobody will. (Who asks somebody to keep a request, or is forwarded to one who does, may wait.)"""
    assert isinstance(sent.thing, Envelope)
    body = bytes(sent.thing.body)
    waits = b"keep" in body or b"forward" in body
    return not waits and not sent.lost and sent.reply is None and sent.error is None


def check(seed: int) -> None:
    node, sent = storm(seed)
    assert not node.journal._mail, f"seed {seed}: mail that nobody takes: {list(node.journal._mail.values())}"
    left = [one.thing for one in sent if unanswered(one)]
    assert not left, f"seed {seed}: nobody answered {left}"


def check_all() -> None:
    progress = soak.Progress("fleets", SEEDS)
    for seed in range(SEEDS):
        check(seed)
        progress.step()


def test_nothing_stays_open_and_everybody_is_answered_or_told_that_it_is_lost() -> None:
    check_all()


def test_it_would_be_seen_if_a_request_stayed_open_after_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    is_in = Kernel._is_in

    def forgetful(self: Kernel, item: Item) -> None:
        item.closes = ""
        is_in(self, item)

    monkeypatch.setattr(Kernel, "_is_in", forgetful)
    with pytest.raises(AssertionError, match="nobody takes"):
        check_all()
