"""Where a value comes from: labels, what carries them, and when a value counts as said by a trusted source.

A label says that content may hold words of a stranger (``untrusted``) or what is not for everybody (``private``). What has no label is
trusted: the task that a person gave, what code makes, results of tools that were declared so, people's answers. An argument may also be
``reused``: a trusted source gave it, and another tool was given it already, so who says for what it was meant?

Who has read something labelled may repeat it, in whatever words, so what it makes has the labels of everything that it has read,
except for values that a trusted source gave. Those are known by *equality*: a value of the task's inputs, a word of its objective, a
whole quotation of it. Never by looking for a pattern or for a piece of a text: what is encoded, split or put in other words is no
value that anybody gave, and is labelled like all the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, Literal, cast, get_args

import msgspec
from msgspec import Raw, Struct

Label = Literal["untrusted", "private", "reused"]

LABELS: Final[tuple[Label, ...]] = get_args(Label)

MOST_SOURCES: Final = 16
"""Sources that are told apart; of further ones it is only known that there were more."""

MOST_TRUSTED: Final = 1_000
"""Values of one labelled message that are known to come from a trusted source; further ones count as labelled."""

MOST_LOOKED_AT: Final = 20_000
"""Words of one labelled message that are compared with what is trusted; further ones count as labelled."""

LONGEST: Final = 20_000
"""Characters of a text whose words count for themselves; a longer one counts as a whole."""

ELSEWHERE: Final = "others"
"""Stands for the sources that are not told apart any more."""


class Provenance(Struct, frozen=True, omit_defaults=True, gc=False):
    """Where content comes from, for as far as that matters.

    Attributes:
        labels: what is to be feared of it.
        sources: which tools, or whose messages, it came from, for people to read.
        trusted: marks (``mark``) of values inside that a trusted source gave, although the whole is labelled.
    """

    labels: tuple[Label, ...] = ()
    sources: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()


def joined(one: Provenance | None, other: Provenance | None) -> Provenance | None:
    """Of content that is made of both."""
    if one is None:
        return other
    if (
        other is None
        or one is other
        or (
            set(other.labels) <= set(one.labels)
            and set(other.sources) <= set(one.sources)
            and set(other.trusted) <= set(one.trusted)
        )
    ):
        return one
    sources = tuple(dict.fromkeys((*one.sources, *other.sources)))
    if len(sources) > MOST_SOURCES:
        sources = (*sources[: MOST_SOURCES - 1], ELSEWHERE)
    trusted = tuple(dict.fromkeys((*one.trusted, *other.trusted)))[:MOST_TRUSTED]
    feared = frozenset((*one.labels, *other.labels))
    labels = cast("tuple[Label, ...]", tuple(label for label in LABELS if label in feared))
    return Provenance(labels, sources, trusted)


def beyond(after: Provenance, before: Provenance | None) -> Provenance | None:
    """What is new in it; None for nothing."""
    if before is None:
        return after
    labels = cast("tuple[Label, ...]", tuple(label for label in after.labels if label not in before.labels))
    sources = tuple(source for source in after.sources if source not in before.sources)
    trusted = tuple(value for value in after.trusted if value not in before.trusted)
    return Provenance(labels, sources, trusted) if labels or sources or trusted else None


def mark(value: str) -> str:
    """How a trusted value is known where the value itself is not at hand: 80 bits of its digest."""
    return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def values(content: Any) -> Iterator[str]:  # plain JSON
    """Each value of plain JSON as text: texts as they are, numbers as they are written shortest, names of fields too.

    Null says nothing, and is no value.
    """
    left: list[Any] = [content]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, bool):
            yield "true" if one else "false"
        elif isinstance(one, (int, float)):
            yield number(one)
        elif isinstance(one, dict):
            held: dict[str, Any] = one  # pyright: ignore[reportUnknownVariableType]
            left += held.keys()
            left += held.values()
        elif isinstance(one, (list, tuple)):
            left += one  # pyright: ignore[reportUnknownArgumentType]


def number(value: float) -> str:
    """A number as text: 50 and 50.0 are one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) if isinstance(value, int) else repr(value)


@lru_cache(maxsize=512)
def values_of(data: str | bytes) -> frozenset[str]:
    """The values of JSON; none where it cannot be read."""
    try:
        return frozenset(values(msgspec.json.decode(data)))
    except (msgspec.DecodeError, RecursionError, ValueError):
        return frozenset()


@lru_cache(maxsize=256)
def results_of(text: str) -> frozenset[str]:
    """The values of a tool's result as a conversation holds it; none of a failure."""
    try:
        return frozenset(values(msgspec.json.decode(text, type=_Told).result))
    except (msgspec.DecodeError, RecursionError, ValueError):
        return frozenset()


class _Told(Struct):
    """What a tool's call came to, as a conversation holds it."""

    result: Any


_EDGES = ".,;:!?()[]{}<>\"'`*_|“”‘’‚„«»‹›…$€£¥%"
_QUOTED = re.compile(
    r"\"([^\"\n]+)\"|“([^“”\n]+)”|„([^„“”\n]+)[“”]|«([^«»\n]+)»|`([^`\n]+)`|(?<!\w)['‘]([^'‘’\n]+)['’](?!\w)"
)
"""What stands between two marks without another one that opens: so each character is looked at once, whatever a stranger wrote."""
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,9})?|[+-]?\d{1,3}(,\d{3})+(\.\d{1,9})?")


@lru_cache(maxsize=256)
def words_of(text: str) -> frozenset[str]:
    """What a person names in a text: each word (what stands between white space, also without the punctuation around it), each quotation,
    each line, what follows a colon up to the end of the line, and all of it. Whole ones only, never pieces."""
    found = {text, text.strip()}
    if len(text) > LONGEST:
        return frozenset(found)
    for word in text.split():
        bare = word.strip(_EDGES)
        found |= {word, bare, bare.removesuffix("'s").removesuffix("’s")}
        if _NUMBER.fullmatch(bare):
            found.add(number(float(bare.replace(",", ""))))
    for quoted in _QUOTED.finditer(text):
        found.add(next(group for group in quoted.groups() if group is not None).strip())
    for line in text.splitlines():
        found |= {line.strip(), line.partition(": ")[2].strip()}
    return frozenset(found - {""})


class Vouched:
    """What an actor's state says of values in it. It grows with the state, so that what was read once is not read for each call again.

    Args:
        sets: values of trusted sources that may go anywhere.

    Attributes:
        sets: the same.
        free: further ones.
        private: values of trusted sources that are private.
        used: values that were given to tools: to which one; empty for several.
        of, at, last, clean: for whoever makes it: which state it is of, and how far it has been read.
    """

    __slots__ = ("at", "clean", "free", "last", "of", "private", "sets", "used")

    def __init__(self, sets: Iterable[frozenset[str]] = ()) -> None:
        self.sets = list(sets)
        self.free: set[str] = set()
        self.private: set[str] = set()
        self.used: dict[str, str] = {}
        self.of: tuple[object, ...] = ()
        self.at, self.clean = 0, True
        self.last: object = None

    def gave(self, tool: str, args: str) -> frozenset[str]:
        """A tool was given these arguments, a JSON object. Gives their values."""
        given = values_of(args)
        for value in given:
            if self.used.setdefault(value, tool) != tool:
                self.used[value] = ""
        return given


@lru_cache(maxsize=64)
def _marks_of(marks: tuple[str, ...]) -> frozenset[str]:
    return frozenset(marks)


class Known:
    """The values that trusted sources gave, as far as somebody knows them.

    Args:
        vouched: those in an actor's state.
        marks: of further ones that may go anywhere.
        free, private: values of the message that it takes, and those of which its code says so.
    """

    __slots__ = ("_marks", "_private", "_sets", "_vouched")

    def __init__(
        self,
        vouched: Vouched,
        marks: tuple[str, ...] = (),
        free: Iterable[frozenset[str]] = (),
        private: Iterable[frozenset[str]] = (),
    ) -> None:
        self._vouched = vouched
        self._sets, self._private = (*vouched.sets, *free), tuple(private)
        self._marks = _marks_of(marks) if marks else frozenset[str]()

    def has(self, value: str) -> bool:
        """Whether a trusted source gave it and nobody minds where it goes."""
        if value in self._vouched.free or any(value in known for known in self._sets):
            return True
        return bool(self._marks) and mark(value) in self._marks

    def keeps(self, value: str) -> bool:
        """Whether a trusted source gave it as private."""
        return value in self._vouched.private or any(value in known for known in self._private)

    def reused(self, value: str, tool: str) -> bool:
        """Whether another tool was given it."""
        return self._vouched.used.get(value, tool) != tool


def labels_of(tool: str, args: Raw, around: Provenance, known: Known) -> dict[str, tuple[Label, ...]]:
    """The labels of each argument of a call, by parameter, as far as it has any.

    Args:
        tool: what is called.
        args: the arguments, a JSON object.
        around: of all that whoever makes the call has read.
        known: what came from trusted sources.
    """
    try:
        given = msgspec.json.decode(args)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return {"": around.labels}
    if not isinstance(given, dict):
        return {"": around.labels}
    found: dict[str, tuple[Label, ...]] = {}
    arguments: dict[str, Any] = given  # pyright: ignore[reportUnknownVariableType]
    for name, argument in arguments.items():
        labels: tuple[Label, ...] = ()
        for value in values(argument):
            if known.has(value):
                labels = labels or (("reused",) if known.reused(value, tool) else ())
                continue
            if not known.keeps(value):
                labels = around.labels
                break
            labels = ("private",)
        if labels:
            found[name] = labels
    return found


def vouched(data: Raw, known: Known) -> tuple[str, ...]:
    """Marks of the values, and of the words of texts, in a message that come from trusted sources."""
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return ()
    found: dict[str, None] = {}
    left = MOST_LOOKED_AT
    for value in values(content):
        for word in (value, *sorted(words_of(value))) if len(value) <= LONGEST else (value,):
            left -= 1
            if len(found) >= MOST_TRUSTED or left < 0:
                return tuple(found)
            if known.has(word):
                found[mark(word)] = None
    return tuple(found)


def fields_of(value: Raw, names: tuple[str, ...]) -> tuple[str, ...]:
    """Marks of the values in some fields of a result, by dotted names; items of lists are meant by the list's name."""
    try:
        content = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return ()
    found: dict[str, None] = {}
    for name in names:
        at: list[Any] = [content]
        for part in name.split("."):
            at = [one[part] for one in _items(at) if isinstance(one, dict) and part in one]
        for one in values(at):
            if len(found) >= MOST_TRUSTED:
                return tuple(found)
            found[mark(one)] = None
    return tuple(found)


def _items(found: list[Any]) -> Iterator[Any]:
    for one in found:
        if isinstance(one, list):
            yield from _items(one)  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield one


FRAME: Final = "<untrusted from={source}>\n{text}\n</untrusted>"
"""How untrusted text stands in front of a model. The text is JSON in which no ``<`` is left (``framed``), so it can neither end its frame
nor begin another one."""

_FRAMED = re.compile(r"<untrusted from=\"[^<>\n]*\">\n([^<]*)\n</untrusted>")


def framed(text: str, sources: tuple[str, ...]) -> str:
    """JSON from an untrusted source as a model is shown it. It stays the same JSON: ``<`` is written as an escape."""
    source = msgspec.json.encode(", ".join(sources)).decode().replace("<", "\\u003c").replace(">", "\\u003e")
    return FRAME.format(source=source, text=text.replace("<", "\\u003c"))


def unframed(text: str) -> str:
    """What stands in a frame, as JSON; a text without one as it is."""
    found = _FRAMED.fullmatch(text)
    return found[1] if found else text
