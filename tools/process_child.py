"""The program that runs in the process of a call: reads what is called, calls it, answers, ends.

Started by ``process`` in an interpreter that does not know yet where the other one imports from, so it begins with the standard library.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading


def main(line: socket.socket) -> None:
    """Do the one call that comes in on this line."""
    line.set_inheritable(False)
    request = _exactly(line, int.from_bytes(_exactly(line, 4), "big"))
    sys.path[:] = json.loads(request)["path"]
    sys.argv[:] = [""]
    threading.Thread(target=_die_with_parent, args=(line,), daemon=True).start()
    from understudy.tools.process_job import answer

    me, lock = os.getpid(), threading.Lock()

    def say(kind: bytes, body: bytes) -> None:
        """E: the function is entered; B: a heartbeat; L: what it logs; A: the answer."""
        if os.getpid() == me:  # what the call forked may come by here, too: it has nothing to say
            with lock:
                line.sendall(kind + len(body).to_bytes(4, "big") + body)

    def beat(progress: str) -> None:
        say(b"B", progress.encode("utf-8", "replace"))

    say(b"A", answer(request, lambda: say(b"E", b""), beat, lambda line: say(b"L", line)))
    os._exit(0)


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = line.recv(min(65_536, count - len(data)))
        if not piece:
            os._exit(0)  # nobody waits any more
        data += piece
    return data


def _die_with_parent(line: socket.socket) -> None:
    """Nothing comes on the line after the request, so whatever wakes this is its end."""
    try:
        line.recv(1)
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
