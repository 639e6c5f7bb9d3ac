"""The command line. Needs the extra ``cli`` (click, rich); nothing of it is imported before ``main`` is called."""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what was typed after ``understudy``; the process's own by default.

    Returns:
        The exit code, see ``exits``.
    """
    from .entry import run

    return run(arguments)
