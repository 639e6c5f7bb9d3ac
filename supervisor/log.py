"""The library's own log: structlog over the standard library's ``logging``, under the name ``understudy``.

A library must not print: what becomes of the records is the program's to say. Nothing that matters stands in the log only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocols.secrets import hidden, is_hiding

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import EventDict


def log() -> BoundLogger:
    """The log of this library. Imported at the first record: structlog loads rich and pygments where they are installed."""
    import logging

    import structlog

    made: BoundLogger = structlog.wrap_logger(
        logging.getLogger("understudy"),
        processors=[structlog.stdlib.filter_by_level, _without_secrets, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return made


def _without_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A record that shows no secret, its traceback included: that becomes part of the text, since no formatter would hide what it holds."""
    if not is_hiding():
        return event
    if event.pop("exc_info", None):
        import traceback

        event["event"] = f"{event['event']}\n{traceback.format_exc()}"
    return {key: hidden(value) if isinstance(value, str) else value for key, value in event.items()}
