"""What people answer and decide: open questions, and messages that were put aside. The part of ``us.System`` that people are reached by."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

import anyio
import anyio.to_thread
from msgspec import Raw

from ..actors.registry import Directory
from ..actors.releases import Resolve, Revoke, Verdict
from ..protocols import given
from ..protocols.approvals import Answer, Question, Scope
from ..protocols.codec import encode, roundtrip
from ..protocols.decisions import Decision
from ..protocols.envelope import Envelope
from ..protocols.errors import JournalError, UnknownItem, WrongAnswer
from ..protocols.grants import Grant, grants
from ..protocols.journal import MAX_MESSAGE
from ..protocols.mail import Resolution
from ..protocols.plans import texts
from ..protocols.secrets import refuse_secrets
from .access import Access
from .inbox import InboxItem, following, inbox
from .journal.reader import read_only
from .parked import FileLetters, ParkedMessage, edited, of_file, parked
from .verdicts import acts, too_late, verdict


class Answering(Access):
    """Takes answers and decisions."""

    def inbox(self, *, limit: int | None = None, after: str = "") -> tuple[InboxItem, ...]:
        """What waits for people, oldest first.

        Args:
            limit: at most so many; None for all.
            after: only those after the item of this id, which may be answered meanwhile.

        Raises:
            UnknownItem: ``after`` is no id.
            BadArgument: ``limit`` is no number of items.
        """
        most = None if limit is None else given.count("limit", limit, least=1)
        found = inbox(tuple(self._shell.kernel.sets.effects.values()))
        if after:
            found = following(found, after)
        return found[:most]

    def grants(self) -> tuple[Grant, ...]:
        """Standing approvals that are in force or have run out, the oldest first."""
        return tuple(grants(self._shell.kernel.books))

    async def revoke(self, id: str, *, by: str = "somebody", reason: str = "") -> None:
        """Take a standing approval back; returns when that is durable. A call that it allowed and that has not begun is refused.

        Raises:
            UnknownItem: none of that id is in force.
        """
        self._must_be_open()
        thing = Revoke(id, by, reason)
        roundtrip(thing, Revoke, MAX_MESSAGE)
        await self._shell.revoke(thing).wait()

    async def answer(
        self,
        item: str,
        decision: Decision,
        *,
        by: str = "somebody",
        reason: str = "",
        value: object = None,
        digest: str = "",
        scope: Scope = "once",
        same: Sequence[str] = (),
        expires: float | None = None,
    ) -> None:
        """Answer an inbox item; returns when the answer is durable. The first one counts.

        Args:
            item: its id.
            decision: one that it takes (``InboxItem.answers``).
            by: who says so; ``reason``: why.
            value: what is given with it, such as a result, or the arguments that a call is to have.
            digest: ``InboxItem.digest``: that what is answered is what was seen.
            scope: of a yes to a call: ``run``, ``pattern`` or ``always`` also makes a standing approval for others like it (``grants``).
            same: with ``pattern``, parameters whose values must be the same; by default those that say where the effect goes and how
                much it moves.
            expires: seconds for which a standing approval stands; None until it is taken back.

        Raises:
            UnknownItem: nothing is open under that id, or it was answered; by whom and how is said.
            WrongAnswer: the decision does not fit the question, a rejection has no reason, the digest differs, or the value is not
                what whoever asked can use: a result of another type, a changed message that does not fit its class. The item stays open.
                So does a decision that is no word for one.
            TooLarge, TooComplex: the value is.
            NotStorable: it holds a secret.
        """
        words: tuple[str, ...] = get_args(Decision)
        if decision not in words:
            raise WrongAnswer(f"decision={decision!r} is no answer to anything", hint=f"one of: {', '.join(words)}")
        until = None if expires is None else given.seconds("expires", expires)
        await self.give(
            Answer(item, decision, by, reason, Raw(encode(value)), digest, scope, texts("same", same), until)
        )

    async def give(self, answer: Answer) -> None:
        """``answer``, for one that is made already. Raises as ``answer``."""
        self._must_be_open()
        refuse_secrets(bytes(roundtrip(answer, Answer, MAX_MESSAGE)[0]), "the answer")
        try:
            await self._shell.answer(await self._verdict(answer)).wait()
        except UnknownItem as error:
            raise await self._too_late(answer, error) from error

    async def _verdict(self, answer: Answer) -> Answer | Verdict:
        """The answer, with what it means for a message that was put aside."""
        effect = self._shell.kernel.effect(answer.item)
        if effect is None or effect.question is None or not acts(effect.question):
            return answer
        if self.path is None:
            return verdict(await self._letters(), effect.question, answer, self.tree.directory)
        return await anyio.to_thread.run_sync(_of_file, self.path, effect.question, answer, self.tree.directory)

    async def _too_late(self, answer: Answer, error: UnknownItem) -> UnknownItem:
        """Says who answered before, where the journal says so."""
        with suppress(JournalError):
            if self.path is None:
                return too_late(await self._letters(), answer.item) or error
            return await anyio.to_thread.run_sync(_ended, self.path, answer.item) or error
        return error

    async def approve(
        self,
        item: str,
        *,
        by: str = "somebody",
        reason: str = "",
        digest: str = "",
        scope: Scope = "once",
        same: Sequence[str] = (),
        expires: float | None = None,
    ) -> None:
        """Say yes to an approval, or ``try again`` to an escalation. Arguments and errors are those of ``answer``."""
        await self.answer(item, "approve", by=by, reason=reason, digest=digest, scope=scope, same=same, expires=expires)

    async def reject(self, item: str, reason: str, *, by: str = "somebody") -> None:
        """Say no. Raises as ``answer``."""
        await self.answer(item, "reject", by=by, reason=reason)

    async def parked(self) -> tuple[ParkedMessage, ...]:
        """Messages that were put aside and about which nobody has decided, oldest first."""
        if self.path is not None:
            return await anyio.to_thread.run_sync(of_file, self.path)
        return await anyio.to_thread.run_sync(parked, await self._letters())

    async def resend(self, id: str, message: object = None, *, by: str = "somebody", reason: str = "") -> None:
        """Send a parked message again; returns when that is durable. It is told, not asked: whoever asked was answered long ago.

        Args:
            id: of the ``ParkedMessage``.
            message: its new content, plain JSON or a message; None sends it as it was.
            by, reason: kept in the journal.

        Raises:
            UnknownItem: there is none of that id, or somebody decided about it before.
            WrongAnswer: nobody takes it there, or the new content does not fit the message's class.
        """
        mail = edited(await self._put_aside(id), message, self.tree.directory)
        await self._resolve(Resolution(int(id), "resend", by, reason), mail)

    async def drop(self, id: str, *, by: str = "somebody", reason: str = "") -> None:
        """Drop a parked message; returns when that is durable. Raises UnknownItem as ``resend``."""
        await self._put_aside(id)
        await self._resolve(Resolution(int(id), "drop", by, reason))

    async def _resolve(self, resolution: Resolution, mail: Envelope | None = None) -> None:
        roundtrip(resolution, Resolution, MAX_MESSAGE)
        await self._shell.resolve(Resolve(resolution, mail)).wait()


def _of_file(path: Path, question: Question, answer: Answer, directory: Directory) -> Answer | Verdict:
    with read_only(path) as reader:
        return verdict(FileLetters(reader), question, answer, directory)


def _ended(path: Path, item: str) -> UnknownItem | None:
    with read_only(path) as reader:
        return too_late(FileLetters(reader), item)
