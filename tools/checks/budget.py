"""Budget: what an attempt may cost at most is reserved before it starts, on every account that it draws on; what it did cost is
charged when it ends, and the rest given back. So what is charged and reserved together never exceeds a limit, however many draw on it.

    fits ------------------------------------------------------------------> reserved, with the row that starts it
    fits once others have given back what is reserved for them -------------> waits, and is asked again
    does not fit -> the person of the ladder says: as much again -> reserved
                 -> else refused: ``budget_exhausted``

What nobody knows (the process died, a timeout, a provider that says nothing or nonsense about tokens) is charged as it was reserved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ...protocols.approvals import Question
from ...protocols.budget import ASKS, EXHAUSTED, UNPRICED, Account, Hold, Price, Spending, dollars, nano
from ...protocols.codec import decode
from ...protocols.effects import HAPPENED, PERSON, THINK, AskingArgs, Effect
from ...protocols.failures import Failure
from ...protocols.model import Model, ModelReply
from ...protocols.verdicts import Verdict
from ..models.pricing import ANSWER, LEAST, Terms, bound
from ..starting import Ending, Starting
from ..windows import Drawn, drawn
from .case import Ruling, allow, deny

CHECK = "budget"

HELD = "budget/held/"
"""Keys of what is reserved for attempts under way, by effect."""

PATIENCE = 600.0
"""Seconds that an effect waits for others to give back what is reserved for them."""

BILLED = frozenset(
    {
        "broken_stream", "cut_off", "content_filter", "model_refused", "unknown_finish", "result_too_large",
        "crashed", "schema_drift",
    }
)  # fmt: skip
"""Failures of model calls for which a provider may bill what it had said by then."""


class Budgets:
    """The check.

    Args:
        spending: windows of the whole journal.
        prices: of models, by name; before their own ``price`` and price lists.
        models: by agent and name.
    """

    name = CHECK

    def __init__(
        self,
        spending: Sequence[Spending] = (),
        prices: Mapping[str, Price] | None = None,
        models: Mapping[str, Mapping[str, Model]] | None = None,
    ) -> None:
        self._spending = tuple(spending)
        self._prices = dict(prices or {})
        self._models = models or {}

    def concerns(self, effect: Effect) -> bool:
        """Whatever draws on anything."""
        return effect.verb != PERSON and bool(self._spending or effect.context.budgets)

    def start(self, starting: Starting) -> Ruling:
        """Reserve what the attempt may cost at most, or say why not."""
        effect, books, now = starting.effect, starting.books, starting.now
        accounts = drawn(self._spending, effect.context, books, now)
        for one in accounts:
            if one.account.seconds is not None and (over := self._time(one, starting)) is not None:
                return over
        told = self._need(accounts, starting)
        if isinstance(told, Ruling):
            return told
        hold, short = told
        if short and _raises(effect, short):
            accounts = [one.raised(effect.id) if one in short else one for one in accounts]
            again = self._need(accounts, starting)
            hold, short = (hold, short) if isinstance(again, Ruling) else again
        if short:
            return self._short(short, hold, starting)
        held = hold.usd or hold.tokens
        for one in accounts:
            a = one.account
            if held:
                a = a.changed(a.usd, a.tokens, a.held_usd + hold.usd, a.held_tokens + hold.tokens)
            if held or (one.stood is None and a.seconds is not None):
                books.write(one.key, a)
        if not held:
            return allow(CHECK)
        books.write(HELD + effect.id, hold)
        if hold.answer:
            starting.answer = hold.answer
        return allow(CHECK, f"{_amount(hold)} reserved")

    def book(self, ending: Ending) -> tuple[Verdict, ...]:
        """Charge what it did cost, and give the rest back."""
        effect, books = ending.effect, ending.books
        hold = books.read(HELD + effect.id, Hold)
        if hold is None:
            return ()
        usd, tokens, odd = self._charge(ending, hold)
        now = {one.key: one.account for one in drawn(self._spending, effect.context, books, ending.now)}
        for key in hold.accounts:
            a = now.get(key) or books.read(key, Account)  # of a window that is declared no more: as it stands
            if a is not None:
                held_usd, held_tokens = max(0, a.held_usd - hold.usd), max(0, a.held_tokens - hold.tokens)
                books.write(key, a.changed(a.usd + usd, a.tokens + tokens, held_usd, held_tokens))
        books.strike(HELD + effect.id)
        return (Verdict(CHECK, "alert", odd, ending.now),) if odd else ()

    # -- what it may cost ---------------------------------------------------------------------------------------

    def _need(self, accounts: Sequence[Drawn], starting: Starting) -> tuple[Hold, list[Drawn]] | Ruling:
        """What it may cost at most, and the accounts on which there is no room for that."""
        effect, keys = starting.effect, tuple(one.key for one in accounts)
        limited = False
        for one in accounts:
            limited = limited or one.account.limit_usd is not None or one.account.limit_tokens is not None
        if effect.verb == THINK:
            if not limited or starting.request is None or (terms := self._terms(effect)).rule:
                return Hold(keys), []
            return self._think(keys, terms, accounts, starting)
        usd = nano(starting.tool.spec.cost) if starting.tool is not None and limited else 0
        return Hold(keys, usd), [one for one in accounts if not one.fits(usd, 0)]

    def _think(
        self, keys: tuple[str, ...], terms: Terms, accounts: Sequence[Drawn], starting: Starting
    ) -> tuple[Hold, list[Drawn]] | Ruling:
        """The same for a model call, with as long an answer as there is room for."""
        assert starting.request is not None
        asked = bound(starting.request)
        said = [n for n in (starting.limits.answer, terms.most, starting.answer) if n is not None]
        answer = min(said) if said else ANSWER
        least = min(answer, LEAST)
        priced = next((one for one in accounts if one.account.limit_usd is not None), None)

        def cost(output: int) -> int | None:
            return 0 if priced is None else terms.cost(asked, output)

        low = cost(least)
        if low is None:
            assert priced is not None
            return _unpriced(starting.effect, priced)
        short = [one for one in accounts if not one.fits(low, asked + least)]
        if short:
            return Hold(keys, low, asked + least, asked, least), short
        while answer > least:
            usd = cost(answer)
            if usd is not None and all(one.fits(usd, asked + answer) for one in accounts):
                return Hold(keys, usd, asked + answer, asked, answer), []
            answer = max(least, answer // 2)
        return Hold(keys, low, asked + least, asked, least), []

    def _terms(self, effect: Effect) -> Terms:
        return Terms(effect.name, self._models.get(effect.agent, {}).get(effect.name), self._prices)

    def _time(self, one: Drawn, starting: Starting) -> Ruling | None:
        if one.account.seconds is None:
            return None
        left = one.account.began + one.account.seconds - starting.now
        if left <= 0:
            why = f"{one.label}: all of its {one.account.seconds:g} seconds are over"
            return deny(CHECK, Failure("abandon", EXHAUSTED, why, "give it more time", where=one.name))
        if starting.effect.effect in (
            "read",
            "idempotent",
        ):  # what may not be cut off without a doubt runs to its own end
            starting.timeout = left if starting.timeout is None else min(starting.timeout, left)
        return None

    def _short(self, short: Sequence[Drawn], hold: Hold, starting: Starting) -> Ruling:
        """There is no room for it: for now, or until a person gives some."""
        effect, now = starting.effect, starting.now
        waits = _waits(effect)
        since = waits[0].at if waits else now
        if all(one.would_fit(hold.usd, hold.tokens) for one in short) and now - since < PATIENCE:
            due = now + min(30.0, 0.5 * 2.0 ** min(len(waits), 10))
            why = f"{short[0].label}: {_amount(hold)} have no room until others give back what is reserved for them"
            return Ruling(
                Verdict(CHECK, "wait", why, now), Failure("abandon", EXHAUSTED, why, where=short[0].name), due=due
            )
        one = short[0]
        why = f"{one.label} is used up: {one.stands()}, and this may cost {_amount(hold)}"
        if _asks(effect, short) and not _asked(effect):
            more = one.limits()
            text = f"{why}. {effect.stream} wants to go on with {effect.name}. May it spend as much again ({more})?"
            limit = starting.limits.approval
            deadline = None if limit is None else now + limit
            question = Question("approval", text, policy=ASKS, deadline=deadline, takes=("approve", "reject"))
            return Ruling(Verdict(CHECK, "ask", why), question=question)
        hint = "us.Budget(…) or us.Spending(…) says how much it may be; hit=(…, 'person') lets a person give more"
        return deny(CHECK, Failure("abandon", EXHAUSTED, why, hint, where=one.name))

    # -- what it did cost ---------------------------------------------------------------------------------------

    def _charge(self, ending: Ending, hold: Hold) -> tuple[int, int, str]:
        """Billionths of a dollar, tokens, and what is odd about it."""
        effect, attempt = ending.effect, ending.attempt
        if attempt is None or attempt.unknown:
            why = "the process died over it" if attempt is None else "nobody knows what it came to"
            return hold.usd, hold.tokens, f"{why}: {_amount(hold)} are charged as reserved"
        if attempt.failure is not None:
            code = attempt.failure.code
            billed = code in BILLED if effect.verb == THINK else code in HAPPENED
            if billed and effect.verb == THINK:
                return hold.usd, hold.tokens, f"{code}: it may be billed, {_amount(hold)} are charged as reserved"
            return (hold.usd, hold.tokens, "") if billed else (0, 0, "")
        if effect.verb != THINK:
            return hold.usd, hold.tokens, ""
        return self._used(effect, attempt.value or b"", hold)

    def _used(self, effect: Effect, value: bytes, hold: Hold) -> tuple[int, int, str]:
        """By what the provider says that it counted, unless that cannot be."""
        full = f"{_amount(hold)} are charged as reserved"
        try:
            reply: ModelReply = decode(value, ModelReply)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return hold.usd, hold.tokens, f"what it used cannot be read: {full}"
        asked, output = reply.usage.input_tokens, reply.usage.output_tokens
        if reply.usage.estimated or asked == 0 or (output == 0 and (reply.text or reply.calls)):
            return hold.usd, hold.tokens, f"{effect.name} does not say what it used: {full}"
        cost = reply.cost or 0.0
        if asked < 0 or output < 0 or cost < 0:
            return hold.usd, hold.tokens, f"{effect.name} says that it used {asked:,} + {output:,} tokens: {full}"
        odd = ""
        if asked > hold.input or output > hold.answer:
            odd = f"{effect.name} says that it used {asked:,} + {output:,} tokens where at most {hold.input:,} + {hold.answer:,} could be"
        usd = 0
        if hold.usd:
            known = self._terms(effect).cost(asked, output, reply.model)
            usd = max(hold.usd if known is None else known, nano(min(cost, 1e9)))
            if usd > hold.usd:
                odd = odd or f"{effect.name} cost {dollars(usd)}, and only {dollars(hold.usd)} were reserved"
        return usd, asked + output if hold.tokens else 0, odd and f"{odd}: charged as it says"


def _amount(hold: Hold) -> str:
    parts = [dollars(hold.usd)] if hold.usd else []
    return " and ".join(parts + ([f"{hold.tokens:,} tokens"] if hold.tokens else [])) or "$0.00"


def _unpriced(effect: Effect, one: Drawn) -> Ruling:
    why = f"nobody knows what {effect.name} costs, and {one.label} limits money"
    hint = f"us.System(prices={{{effect.name!r}: us.Price(input=…, output=…)}}), price= of the model, or pip install 'understudy[prices]'"
    return deny(CHECK, Failure("abandon", UNPRICED, why, hint, where=effect.name))


def _waits(effect: Effect) -> list[Verdict]:
    """For how long it has waited for room without having had any."""
    waits: list[Verdict] = []
    for verdict in reversed(effect.verdicts):
        if verdict.check == CHECK:
            if verdict.verdict != "wait":
                break
            waits.append(verdict)
    return waits[::-1]


def _asks(effect: Effect, short: Sequence[Drawn]) -> bool:
    """Whether a person is asked: a tool call, where the ladder has a person at all; a model call, where its agent has come to that rung."""
    if effect.verb == THINK:
        args: AskingArgs = decode(effect.args, AskingArgs)
        return args.asks
    return all("person" in one.hit for one in short)


def _asked(effect: Effect) -> bool:
    """Whether a person was asked before whether this effect may cost more."""
    return effect.question is not None and effect.question.policy == ASKS


def _raises(effect: Effect, short: Sequence[Drawn]) -> bool:
    """Whether a person has said that it may spend as much again, and that was not used yet."""
    answer = effect.answer
    if not _asked(effect) or answer is None or answer.decision != "approve":
        return False
    return all(one.account.by != effect.id for one in short)
