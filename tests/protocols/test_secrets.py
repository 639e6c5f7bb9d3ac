"""``us.Secret`` never shows, and what is known to be secret is hidden in every form in which text passes it on."""

from __future__ import annotations

import base64
import copy
import html
import json
import pickle
import urllib.parse
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

import understudy as us
from understudy.protocols.codec import encode
from understudy.protocols.errors import NotStorable
from understudy.protocols.failures import of_exception
from understudy.protocols.secrets import HIDDEN, hidden, of_failure, refuse_secrets, without_secrets

CANARY = 'cana/ry+"7f3a\\9 d&k<ü>=='
SECRET = us.Secret(CANARY)


@pytest.mark.parametrize("shown", [str, repr, format, "{}".format, "{!r:>40}".format, "%s".__mod__, ascii])
def test_a_secret_never_shows(shown: object) -> None:
    assert CANARY[:6] not in shown(SECRET)  # type: ignore[operator]
    assert CANARY[:6] not in shown([SECRET])  # type: ignore[operator]


def test_a_secret_is_neither_stored_nor_pickled() -> None:
    leaves: list[Callable[[object], object]] = [
        encode,
        msgspec.json.encode,
        json.dumps,
        pickle.dumps,
        msgspec.to_builtins,
    ]
    for leave in leaves:
        for thing in (SECRET, {"k": [SECRET]}):
            with pytest.raises((NotStorable, TypeError)) as refused:
                leave(thing)
            assert CANARY[:6] not in str(refused.value)
    assert copy.deepcopy({"k": SECRET})["k"] is SECRET
    assert SECRET.reveal() == CANARY
    assert not hasattr(SECRET, "__dict__")


def test_secrets_are_equal_by_value() -> None:
    assert us.Secret(CANARY) == SECRET
    assert us.Secret("another one") != SECRET
    assert SECRET != CANARY
    assert len({SECRET, us.Secret(CANARY)}) == 1


@pytest.mark.parametrize("value", ["", "      ", "12345", None, b"bytes-of-it", 1234567])
def test_what_is_no_secret_is_refused_without_being_shown(value: object) -> None:
    with pytest.raises(us.DefinitionError) as refused:
        us.Secret(value)  # type: ignore[arg-type]
    assert "12345" not in str(refused.value)


def encoded(text: str, before: int = 0, after: int = 0) -> str:
    return base64.b64encode(b"user:x"[:before] + text.encode() + b"tail"[:after]).decode()


PASSED_ON: dict[str, Callable[[str], str]] = {
    "as it is": lambda s: s,
    "in a text": lambda s: f"key={s}; and more",
    "as JSON": json.dumps,
    "as JSON with all characters": lambda s: json.dumps(s, ensure_ascii=False),
    "as JSON in JSON": lambda s: json.dumps({"body": json.dumps({"key": s})}),
    "as Python": repr,
    "in an address": lambda s: urllib.parse.quote(s, safe=""),
    "in an address, slashes kept": urllib.parse.quote,
    "in a form": urllib.parse.quote_plus,
    "in lower case percent": lambda s: "".join(f"%{b:02x}" if chr(b) not in SAFE else chr(b) for b in s.encode()),
    "as HTML": html.escape,
    "in hexadecimal": lambda s: s.encode().hex(),
    "in upper hexadecimal": lambda s: s.encode().hex().upper(),
    **{f"base64 after {n}": partial(encoded, before=n) for n in range(7)},
    **{f"base64 before {n}": partial(encoded, after=n) for n in range(4)},
    "base64 for addresses": lambda s: base64.urlsafe_b64encode(b"ab" + s.encode()).decode(),
}  # fmt: skip
SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~"


@pytest.mark.parametrize("how", PASSED_ON)
def test_it_is_hidden_however_it_is_passed_on(how: str) -> None:
    text = PASSED_ON[how](CANARY)
    assert HIDDEN in hidden(text)
    assert CANARY not in hidden(text)
    clean = without_secrets(json.dumps({"a": ["x", text], text: 1}).encode())
    assert json.loads(clean)["a"][0] == "x"
    assert text not in clean.decode()
    assert HIDDEN in clean.decode()


def test_every_base64_that_holds_it_is_hidden_beyond_use() -> None:
    for n in range(12):
        whole = base64.b64encode(b"p" * n + CANARY.encode() + b"q" * (12 - n)).decode()
        left = hidden(whole).split(HIDDEN)
        assert len(left) == 2
        assert sum(map(len, left)) <= 16 + 4 + 2, "of the secret itself a few bits at either end"


def test_a_text_that_was_cut_off_shows_no_part_of_it() -> None:
    for n in range(8, len(CANARY)):
        assert CANARY[:8] not in hidden("said: " + CANARY[:n])
        assert CANARY[-8:] not in hidden(CANARY[-n:] + " was said")


def test_each_line_of_a_long_key_is_hidden() -> None:
    key = "-----BEGIN KEY-----\nMIIBVgIBADANBgkqhkiG9w0B\nAQEFAASCAUAwggE8AgEAAkEA\n-----END KEY-----"
    us.Secret(key)
    assert hidden("line 2: AQEFAASCAUAwggE8AgEAAkEA") == f"line 2: {HIDDEN}"
    assert hidden("-----BEGIN KEY-----") == "-----BEGIN KEY-----"


def test_a_number_that_is_a_secret_is_hidden() -> None:
    us.Secret("481516234299")
    assert without_secrets(b'{"n":[481516234299,1]}') == f'{{"n":["{HIDDEN}",1]}}'.encode()


def test_what_looks_like_one_is_hidden_in_each_text_of_its_own() -> None:
    us.Secret.like(r"zz-[a-z0-9]{10,}.*")
    assert without_secrets(b'{"a":"zz-abcdefghij0 and so on","b":"kept"}') == f'{{"a":"{HIDDEN}","b":"kept"}}'.encode()
    for wrong in ("(", ".*", "", None):
        with pytest.raises(us.DefinitionError, match=r"Secret\.like"):
            us.Secret.like(wrong)  # type: ignore[arg-type]


def test_what_holds_none_stays_the_very_bytes() -> None:
    data = b'{ "a" : 1.0, "b": "\\u00fc" }'
    assert without_secrets(data) is data


def test_failures_and_their_causes_hide_it() -> None:
    def fail() -> None:
        raise ExceptionGroup("many", [ValueError(f"x{CANARY}"), OSError(2, CANARY)]) from KeyError(CANARY)

    with pytest.raises(ExceptionGroup) as raised:
        fail()
    failure = of_exception(raised.value)
    assert len(failure.chain()) >= 3
    assert CANARY[:8] not in repr(failure)
    made = us.Failure("abandon", "no", CANARY, CANARY, where=CANARY, cause=us.Failure("abandon", "no", f"<{CANARY}>"))
    assert CANARY[:8] not in repr(of_failure(made))


def test_what_would_be_stored_with_it_is_refused() -> None:
    refuse_secrets(b"nothing", "it")
    for data in (CANARY.encode(), json.dumps([CANARY]).encode(), base64.b64encode(CANARY.encode())):
        with pytest.raises(NotStorable, match="it holds a secret") as refused:
            refuse_secrets(data, "it")
        assert CANARY[:6] not in str(refused.value)
