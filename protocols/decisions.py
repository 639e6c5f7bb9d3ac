"""The words in which people decide. Pure: what each means, which of them answers a question, which two mean the same."""

from __future__ import annotations

from typing import Final, Literal

Decision = Literal[
    "approve", "reject",
    "retry", "change", "skip", "replace", "result", "stop", "answer",
    "happened", "not_happened", "run_again",
]  # fmt: skip
"""What can be answered:

* approval: ``approve`` (do it), ``change`` (do it with these arguments), ``reject`` (do not, with a reason)
* escalation, as far as the question takes it (``Question.takes``):

  * ``retry``: the same again
  * ``change``: again, with the value given: another task, or another content of the message that failed
  * ``skip``: go on without the message or step that failed; that it was dropped stands in the journal
  * ``replace``: another worker does it; the value is its name, one of the question's options
  * ``result``: the value is what was asked for
  * ``stop``: give it up, with a reason

  About a child that was given up ``approve`` starts it again and leaves the message where it was put aside.
  A question that does not say what it takes takes ``approve`` (try again), ``answer`` (here is the result) and ``reject`` (stop).
* in doubt: ``happened`` (it did; the result may be given), ``not_happened`` (it did not, leave it), ``run_again``
"""

REASONED: Final[frozenset[Decision]] = frozenset({"reject", "stop"})
"""They need a reason: it is told to whoever is stopped, and kept."""

VALUED: Final[frozenset[Decision]] = frozenset({"change", "replace", "result", "answer"})
"""They need a value."""

SAME: Final[dict[Decision, tuple[Decision, ...]]] = {
    "approve": ("retry",),
    "reject": ("stop",),
    "answer": ("replace", "result"),
    "retry": ("approve",),
    "stop": ("reject",),
    "result": ("answer",),
    "replace": ("answer",),
}
"""To an escalation each word on the left means the same as the first on the right that it takes."""


def meant(given: Decision, takes: tuple[Decision, ...], *, names: bool) -> Decision | None:
    """The word of an escalation that somebody meant; None where it takes none such.

    Args:
        given: what was said.
        takes: the words that answer the question.
        names: whether the value given is one of the question's options: ``answer`` then means ``replace``.
    """
    if given in takes:
        return given
    for word in SAME.get(given, ()):
        if word in takes and (word != "replace" or names):
            return word
    return None


def again(decision: Decision) -> bool:
    """Whether a decision about an escalation lets the one who asked go on by itself: ``retry``, or ``approve``, as it once was."""
    return decision in ("retry", "approve")
