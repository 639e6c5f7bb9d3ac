"""Built-in tools, made to measure: each function takes what is allowed and gives a tool for an agent's ``tools=``.

    us.Agent("reader", "...", tools=[us.builtin.clock(), *us.builtin.files("notes"), us.builtin.fetch(allow=["api.example.org"])])

Nothing is allowed that is not named.
"""

from .clocks import clock as clock
from .commands import shell as shell
from .databases import sql as sql
from .delegation import delegate as delegate
from .fetching import fetch as fetch
from .folders import files as files
from .people import ask_person as ask_person

__all__ = ["ask_person", "clock", "delegate", "fetch", "files", "shell", "sql"]
