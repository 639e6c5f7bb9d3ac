"""What a task and a worker have in common, by their words."""

from __future__ import annotations

import re


def words(text: str) -> set[str]:
    """Words of four letters and more, cut to their first four, so that *writer*, *write* and *writing* meet."""
    return {word[:4] for word in re.findall(r"\w{4,}", text.lower())}
