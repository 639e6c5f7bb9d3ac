"""Text of others in front of whoever decides: one line, nothing hidden, no order to a terminal."""

from __future__ import annotations

import pytest

from understudy.protocols.visible import cut, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Zoë, Привет, 你好", "Zoë, Привет, 你好"),
        ("one\n  99.0  approval  desk/1", "one\\n  99.0  approval  desk/1"),
        ("a\rb\tc", "a\\rb\\tc"),
        ("\x1b[2Jgone\x07", "\\x1b[2Jgone\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("pay \u202eeve\u202c", "pay \\u202eeve\\u202c"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("ad\u200ba \u200c\u200d\ufeff\u2060", "ad\\u200ba \\u200c\\u200d\\ufeff\\u2060"),
        ("a\u00a0b\u3000c", "a\\xa0b\\u3000c"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("hidden\u3164\u115f\u2800\ufe0f", "hidden\\u3164\\u115f\\u2800\\ufe0f"),
        ("\U000e0041\U000e0101", "\\U000e0041\\U000e0101"),
        ("e" + "\u0301" * 5, "e" + "\u0301" * 3 + "\\u0301\\u0301"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_does_not_show_as_itself_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert "\n" not in visible(text)


def test_what_is_cut_off_is_counted() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("a" * 1_300, 100) == "a" * 100 + "… (1,200 more characters)"
