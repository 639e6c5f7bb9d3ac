"""A connection whose process dies at a statement."""

from __future__ import annotations

from understudy.supervisor.journal.driver import Connection


class Killed(BaseException):
    """The process is gone."""


def killed_after(connection: Connection, statements: int) -> Connection:
    """A connection that dies after so many statements, without a word to SQLite."""
    left = statements

    class Dying:
        def execute(self, sql: str, parameters: object = (), /) -> object:
            nonlocal left
            if left == 0:
                connection.close()  # what a kill does to what is not committed
                raise Killed
            left -= 1
            return connection.execute(sql, parameters)  # type: ignore[arg-type]

        def close(self) -> None:
            connection.close()

    return Dying()  # type: ignore[return-value]
