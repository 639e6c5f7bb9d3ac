"""The library's own log: structlog over the standard library's ``logging``, under the name ``understudy``.

A library must not print: what becomes of the records is the program's to say. Nothing that matters stands in the log only.
"""

from __future__ import annotations

import logging

import structlog
from structlog.typing import FilteringBoundLogger


def logger() -> FilteringBoundLogger:
    """The log of this library."""
    made: FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger("understudy"),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return made
