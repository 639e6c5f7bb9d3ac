"""Where the calls of the incident desk stand, as the program of the kill storm says it to the test."""

from __future__ import annotations

from msgspec import Raw, Struct


class Question(Struct, frozen=True):
    """What a person is asked about a call, without what differs from life to life."""

    kind: str
    text: str
    tool: str
    arguments: Raw
    key: str


class Standing(Struct, frozen=True):
    """Where one call stands, as the program says."""

    status: str
    output: Raw
    questions: tuple[Question, ...]
