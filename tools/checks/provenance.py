"""Provenance: where a call goes, and what goes there, must come from trusted sources, or a person is asked.

The labels of each argument come with the intent (``Intent.labels``; ``protocols/provenance.py`` says what gets one). What they mean
depends on what the tool does to the world:

* a labelled *sink* (where the effect goes) of anything but a pure read: ask
* a labelled *payload* (what goes there) of what leaves, moves money, destroys, changes accounts or runs code: ask
* a *reused* sink of what destroys, changes accounts or runs code, where the caller has read what is untrusted: a file that was named to
  be read was not named to be deleted: ask
* private data in a call whose caller has also read what is untrusted, where the call lets it leave: ask, whoever it goes to
* a *sink* that names nothing (null, an empty list), which may mean everything, and a call that destroys, pays, changes accounts or runs
  code and is told nothing at all, by a model that has read what is untrusted: ask
* anything else goes: reads, and what is written to a place that was named

A tool's own default is the word of its author, so an argument that equals it has no label.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, Raw

from ...protocols.approvals import Question
from ...protocols.codec import NULL
from ...protocols.effects import Effect
from ...protocols.provenance import Label, Provenance, fields_of, values
from ...protocols.tool import ToolSpec
from .case import Case, Ruling, allow, ask, in_a_line

CHECK: Final = "provenance"
"""Its name; with the labels that it asks about it is the policy of its question, so that a yes is bound to them, too."""

MATTERS: Final = frozenset(("send", "egress", "money", "destroy", "account", "execute"))
"""Kinds of effects whose content matters as much as where it goes."""

VERBS: Final = frozenset(("destroy", "account", "execute"))
"""Kinds whose harm is in what is done, to whatever it is done."""

BARE: Final = VERBS | {"money"}
"""Kinds of calls that do harm without being told anything."""

BARE_POLICY: Final = f"{CHECK} ()=untrusted"

LEAVES: Final = frozenset(("send", "egress", "money", "account"))
"""Kinds by which data gets to others."""


def provenance(case: Case) -> Ruling:
    """Ask a person about arguments that no trusted source gave. Runs after ``schema`` has read them."""
    labels, around = case.intent.labels, case.intent.around
    exposed = around is not None and "untrusted" in around.labels
    if not labels and not exposed:
        return allow(CHECK)
    assert case.tool is not None
    spec = case.tool.spec
    tainted = _tainted(case, labels)
    if exposed and not case.by_code and spec.kinds & MATTERS:
        tainted |= _empty(case, spec)
    private = exposed and any("private" in t for t in tainted.values())
    undeclared = spec.kind is None and spec.effect == "read"
    if spec.pure_read and not (undeclared and private):
        return allow(CHECK, _listed(tainted))
    if spec.pure_read:
        asks = [name for name, labels in tainted.items() if "private" in labels]
    else:
        asks = [name for name in tainted if name in spec.goes_to and "untrusted" in tainted[name]]
        if spec.kinds & VERBS and exposed:
            asks += [name for name in tainted if name in spec.goes_to and "reused" in tainted[name]]
        if spec.kinds & MATTERS:
            asks += [name for name in tainted if name in spec.carries and "untrusted" in tainted[name]]
        if private and spec.kinds & LEAVES:
            asks += [name for name, labels in tainted.items() if "private" in labels]
        if not asks and exposed and not case.by_code and spec.kinds & BARE and not _told(case):
            return ask(CHECK, Question("approval", _bare(case), policy=BARE_POLICY, deadline=case.deadline()))
    if not asks:
        return allow(CHECK, _listed(tainted))
    names = tuple(dict.fromkeys(asks))
    policy = " ".join((CHECK, *(f"{name}={'+'.join(tainted[name])}" for name in names)))
    text = _question(case, spec, tainted, names)
    return ask(CHECK, Question("approval", text, policy=policy, deadline=case.deadline()))


def gives(effect: Effect, value: Raw, spec: ToolSpec | None) -> Provenance | None:
    """Where the result of a call comes from; null for a failure, whose words are as good as the tool. ``spec``: None for a tool that
    is gone."""
    if spec is None:
        return Provenance(("untrusted", "private"), (effect.name,))
    labels: list[Label] = ["untrusted"] if spec.trusted is not True else []
    if spec.is_private:
        labels.append("private")
    if not labels:
        return None
    marks = fields_of(value, spec.trusted) if isinstance(spec.trusted, tuple) and value is not NULL else ()
    return Provenance(tuple(labels), (effect.name,), marks)


def _tainted(case: Case, labels: dict[str, tuple[Label, ...]]) -> dict[str, tuple[Label, ...]]:
    """The labels of the arguments, without those that are what the tool takes anyway."""
    assert case.tool is not None
    if "" in labels:
        return dict.fromkeys(case.arguments, labels[""])
    return {
        name: label for name, label in labels.items() if not _default(case.tool.signature.form, name, case.arguments)
    }


def _default(form: Any, name: str, arguments: dict[str, Any]) -> bool:  # a struct with a field a parameter
    for field in msgspec.structs.fields(form):
        if field.name == name and not field.required:
            default: object = field.default if field.default is not NODEFAULT else field.default_factory()
            value = arguments.get(name)
            return type(value) is type(default) and value == default
    return False


def _empty(case: Case, spec: ToolSpec) -> dict[str, tuple[Label, ...]]:
    """Sinks that name nothing, and not because the tool's author said so."""
    assert case.tool is not None
    form, given = case.tool.signature.form, case.arguments
    return {
        name: ("untrusted",)
        for name, value in given.items()
        if name in spec.goes_to and not any(values(msgspec.to_builtins(value))) and not _default(form, name, given)
    }


def _told(case: Case) -> bool:
    """Whether the call has any argument that is not what the tool takes anyway."""
    assert case.tool is not None
    form, given = case.tool.signature.form, case.arguments
    return any(not _default(form, name, given) for name in given)


def _bare(case: Case) -> str:
    around = case.intent.around
    sources = ", ".join(in_a_line(source)[1:-1] for source in around.sources) if around is not None else ""
    return (
        f"May {case.intent.run} call {case.intent.name}, with nothing but its defaults? It has read what came from {sources}. "
        "Nothing in the call was named by anybody who is trusted: perhaps a stranger wants it."
    )


def _question(case: Case, spec: ToolSpec, tainted: dict[str, tuple[Label, ...]], names: tuple[str, ...]) -> str:
    """Sinks first, then what else is labelled, then the rest. Every value is escaped: it is one line and looks like what it is."""
    values: dict[str, object] = msgspec.to_builtins(case.arguments)
    sinks = [name for name in case.arguments if name in spec.goes_to]
    others = [name for name in case.arguments if name not in sinks]
    order = [*(n for n in sinks if n in names), *(n for n in others if n in names)]
    order += [name for name in (*sinks, *others) if name not in order]
    parts: list[str] = []
    for name in order:
        what = " where it goes," if name in spec.goes_to and spec.sinks is not None else ""
        label = ", ".join(tainted.get(name, ()))
        note = f" ({(what + ' ' + label).strip(' ,')})" if what or label else ""
        parts.append(f"{name}{note} = {in_a_line(values[name])}")
    around = case.intent.around
    sources = ", ".join(in_a_line(source)[1:-1] for source in around.sources) if around is not None else ""
    from_whom = f" It has read what came from {sources}." if sources else ""
    strange = [name for name in names if "reused" not in tainted[name]]
    again = [name for name in names if name not in strange]
    whys: list[str] = []
    if strange:
        whys.append(f"No trusted source gave {' and '.join(strange)}: a stranger may have put it into its mouth.")
    if again:
        whys.append(
            f"What is in {' and '.join(again)} was named, and given to another tool before: was it meant for this?"
        )
    return f"May {case.intent.run} call {case.intent.name}? {'; '.join(parts)}.{from_whom} {' '.join(whys)}"


def _listed(tainted: dict[str, tuple[Label, ...]]) -> str:
    return ", ".join(f"{name}: {'+'.join(labels)}" for name, labels in tainted.items())
