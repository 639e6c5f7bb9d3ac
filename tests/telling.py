"""How a test says what it has measured or seen: the fixture ``tell`` (``conftest``), printed when all tests have run."""

from collections.abc import Callable

Tell = Callable[[str], None]
