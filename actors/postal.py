"""What an actor remembers about mail: whom it asked, what it stashed, who watches whom. A fold over its rows; most have none of it."""

from __future__ import annotations

from msgspec import Struct, ValidationError

from ..protocols.codec import decode
from ..protocols.envelope import Envelope
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.journal import Record
from ..protocols.mail import Halting


class Asked(Struct, frozen=True, omit_defaults=True):
    """An ask that is not answered yet: whom, and on behalf of which request of the actor's own, if of one."""

    to: Address
    request: str = ""


class Postal(Struct):
    """The mail side of an actor's memory.

    Attributes:
        asks: its open asks, by id.
        stash: ids of the messages that it put by, in that order.
        failures: how often a turn failed on a message that is to be tried again, by its id.
        watching: whom it watches.
        watchers: who watches it.
        given_up: what requests are answered while a person is asked about this actor; None while nobody is.
        late: answers that came too late, or to nobody, and were dropped.
        halting: it is to end in order, and calls are under way; None while it is not.
        down: it has ended in order, and waits for its supervisor.
    """

    asks: dict[str, Asked] = {}
    stash: dict[str, None] = {}
    failures: dict[str, int] = {}
    watching: dict[Address, None] = {}
    watchers: dict[Address, None] = {}
    late: int = 0
    given_up: Failure | None = None
    halting: Halting | None = None
    down: bool = False

    def begin(self) -> None:
        """A new life, or its last one is over: nothing is said of its end any more."""
        self.given_up = self.halting = None
        self.down = False

    def fold(self, record: Record, took: str) -> None:
        """Take in what a row says about mail. ``took``: id of the message that it is about."""
        post = record.post
        if post is None:
            return
        if post.unstashed:
            self.stash.clear()
        if post.stashed:
            self.stash[took] = None
        if post.kept:
            self.failures[took] = self.failures.get(took, 0) + 1
        for id in post.heard:
            self.asks.pop(id, None)
        self.late += post.late
        if post.given_up is not None:
            self.given_up = post.given_up
        if post.halting is not None or post.down:
            self.halting = None if post.down else post.halting or self.halting
            self.down = self.down or post.down
        for of, more, less in (
            (self.watching, post.watches, post.unwatches),
            (self.watchers, post.watched, post.unwatched),
        ):
            of.update((address, None) for address in more)
            for address in less:
                of.pop(address, None)

    def asked(self, envelope: Envelope) -> None:
        """Take in an ask that it made."""
        assert envelope.reply_to is not None
        self.asks[envelope.id] = Asked(envelope.to, behalf(envelope))


def behalf(envelope: Envelope) -> str:
    """On behalf of which open request of the asker an ask is made: the one in its tag, else the one whose turn made it."""
    back = envelope.reply_to
    assert back is not None
    return back.request or later_id(bytes(back.tag))


def later_id(tag: bytes) -> str:
    """The id of the ``Later`` in a tag; empty where it is none."""
    if not tag.startswith(b'{"later":"'):
        return ""
    try:
        return str(decode(tag, dict[str, str])["later"])
    except ValidationError:
        return ""
