"""What touches the world: tools, the one gate that checks and records every call, the adapters to models and stores.

A sibling of the actors' floor: neither imports the other, they meet in the messages and ports of
`understudy.protocols`.
"""

from typing import TYPE_CHECKING

if not TYPE_CHECKING:  # who uses no built-in tool never loads one

    def __getattr__(name: str) -> object:
        if name != "builtin":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return import_module(f"{__name__}.builtin")
