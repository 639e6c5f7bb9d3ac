"""The library's own log: structlog over the standard library's ``logging``, under the name ``understudy``.

A library must not print: what becomes of the records is the program's to say. Nothing that matters stands in the log only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger


def log() -> BoundLogger:
    """The log of this library. Imported at the first record: structlog loads rich and pygments where they are installed."""
    import logging

    import structlog

    made: BoundLogger = structlog.wrap_logger(
        logging.getLogger("understudy"),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return made
