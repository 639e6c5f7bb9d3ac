"""What went wrong at an OpenAI-compatible server, as one of the four kinds of failure.

retry_later       429 (after Retry-After), 408, 409, 5xx, connection lost, silence, a stream that broke off
retry_now         the server says that the model wrote an unreadable tool call or answer (some servers check this)
change_arguments  the conversation is too long, or the answer was cut off at its length limit
abandon           everything else: key, permission, unknown model, used-up quota, refused content, bad request
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...protocols.errors import Failed, MissingExtra, MissingKey
from ...protocols.failures import Failure, FailureKind, of_exception, text_of

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAIError

BROKEN_STREAM = "broken_stream"

_TOO_LONG = ("context_length", "context length", "context window", "maximum context", "too many tokens", "too long")
_WROTE_NONSENSE = {"tool_use_failed", "json_validate_failed"}
_FILTERED = {"content_filter", "content_policy_violation", "invalid_prompt"}
_NO_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}


class NoKey(Failed, MissingKey):
    """The key's environment variable is not set: ``MissingKey`` to people, an ``abandon`` failure to the gate."""


class NoSdk(Failed, MissingExtra):
    """The SDK is not installed: ``MissingExtra`` to people, an ``abandon`` failure to the gate."""


def no_key(where: str) -> NoKey:
    return NoKey(
        Failure(
            "abandon",
            "missing_key",
            f"the model {where} needs a key and OPENAI_API_KEY is not set",
            "export OPENAI_API_KEY=…, or OPENAI_BASE_URL for a server that needs none",
            where=where,
        )
    )


def no_sdk(where: str) -> NoSdk:
    return NoSdk(
        Failure(
            "abandon",
            "missing_extra",
            f"the model {where} needs the openai library",
            "pip install 'understudy[openai]'",
            where=where,
        )
    )


def bad_address(where: str, base_url: str) -> Failed:
    return Failed(
        Failure(
            "abandon",
            "bad_address",
            f"{base_url!r} is not the address of a server",
            "OPENAI_BASE_URL and base_url look like http://127.0.0.1:8000/v1",
            where=where,
        )
    )


def broken_stream(where: str, message: str, cause: BaseException | None = None) -> Failed:
    """The answer did not arrive whole. Nothing of it may be used."""
    return Failed(
        Failure(
            "retry_later",
            BROKEN_STREAM,
            message,
            where=where,
            cause=None if cause is None else of_exception(cause, code="cause"),
        )
    )


def failure_of(
    error: OpenAIError, where: str, *, streaming: bool = False, now: Callable[[], datetime] | None = None
) -> Failure:
    """The failure that an exception of the SDK stands for.

    Args:
        error: what the SDK raised.
        where: the model's name.
        streaming: whether the answer had begun to arrive.
        now: the clock that dates in Retry-After are compared with.
    """
    import openai

    def made(kind: FailureKind, code: str, hint: str = "", after: float | None = None) -> Failure:
        cause = of_exception(error).cause
        text = text_of(error) or type(error).__name__
        if isinstance(error, openai.APIConnectionError) and cause is not None:
            text = f"{text.rstrip('.')}: {cause.message}"  # the SDK's own words are only "Connection error."
        return Failure(kind, code, " ".join(text.split())[:500], hint, after, where, cause)

    match error:
        case openai.APITimeoutError():
            return made("retry_later", "timeout")
        case openai.APIConnectionError():
            return made("retry_later", BROKEN_STREAM if streaming else "no_connection")
        case openai.APIStatusError():
            kind, code, hint = _of_status(error, where)
            after = retry_after(error.response.headers, now) if kind == "retry_later" else None
            return made(kind, code, hint, after)
        case openai.APIError():  # an error event inside a stream
            return made(*(_of_words(error) or ("retry_later", "server_error", "")))
        case _:
            return made("abandon", "sdk_error")


def retry_after(headers: Mapping[str, str], now: Callable[[], datetime] | None = None) -> float | None:
    """Seconds until a server wants to be asked again; None where it does not say, or says nonsense.

    ``retry-after-ms`` in milliseconds, else Retry-After in seconds or as a date (RFC 9110, 10.2.3).
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1_000
    said = headers.get("retry-after")
    if (seconds := _number(said)) is not None or said is None:
        return seconds
    try:
        from email.utils import parsedate_to_datetime  # a tenth of what this page costs to import, for a rare answer

        date = parsedate_to_datetime(said)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    present = now() if now is not None else datetime.now(UTC)
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - present).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _of_words(error: object) -> tuple[FailureKind, str, str] | None:
    """What the server's own code and message say, whatever the status is (compatible servers disagree on it)."""
    code, message = str(getattr(error, "code", None) or ""), str(error).lower()
    if code in _NO_QUOTA:
        return "abandon", "no_quota", "check the plan and the limits of the account"
    if code in _WROTE_NONSENSE:
        return "retry_now", "unreadable_answer", ""
    if code in _FILTERED:
        return "abandon", "content_filter", "the provider refuses this content"
    if code in {"context_length_exceeded", "string_above_max_length"} or any(words in message for words in _TOO_LONG):
        return "change_arguments", "context_length", "shorten the conversation or what the tools return"
    return None


def _of_status(error: APIStatusError, where: str) -> tuple[FailureKind, str, str]:
    status = error.status_code
    if status in {400, 413, 422, 429} and (known := _of_words(error)) and (status != 429 or known[1] == "no_quota"):
        return known
    match status:
        case 429:
            return "retry_later", "rate_limited", ""
        case 401:
            return "abandon", "unauthorized", "check OPENAI_API_KEY"
        case 402:
            return "abandon", "no_quota", "check the plan and the limits of the account"
        case 403:
            return "abandon", "forbidden", f"this key may not use {where}"
        case 404:
            return "abandon", "unknown_model", f"check the name {where} and OPENAI_BASE_URL"
        case 413:
            return "change_arguments", "context_length", "shorten the conversation or what the tools return"
        case 408 | 409:
            return "retry_later", "server_error", ""
        case _ if status >= 500:
            return "retry_later", "server_error", ""
        case _:
            return "abandon", "bad_request", "the server does not take this request as it is"
