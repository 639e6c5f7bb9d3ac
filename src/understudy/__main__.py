"""`understudy` and `python -m understudy`: the command line, where its extra is installed."""

import sys
from importlib import import_module
from importlib.util import find_spec


def main() -> int:
    """Run the command line and return its exit code; 2 when the `cli` extra is missing."""
    absent = [name for name in ("click", "rich") if find_spec(name) is None]
    if absent:
        print(f"The command line needs {' and '.join(absent)}: pip install 'understudy[cli]'", file=sys.stderr)
        return 2
    return int(import_module("understudy.supervisor.cli").main() or 0)


if __name__ == "__main__":
    sys.exit(main())
