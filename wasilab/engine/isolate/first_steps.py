"""The first steps of a confined process: `python -I -S first_steps.py JSON`, before it imports anything heavy.

JSON is an object: `paths` (sys.path), `module` (what to import and call `main` of), `control`, `lifeline` and `errors`
(descriptors: the socket to the parent, a pipe that closes with the parent, the target of stderr), `without` (sandbox
layers to leave out, for tests).

It becomes three processes. This one stays outside the PID namespace and ends the others when the parent ends. The first
one inside is the namespace's init, and only waits. The second one inside executes the run. As in a shell, a status
above 128 is 128 plus the signal that ended the run's process.
"""

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    given = json.loads(sys.argv[1])
    sys.path.insert(0, str(Path(__file__).parent))
    without = given["without"]
    entered = [] if "namespaces" in without else __import__("namespaces").enter()  # the file beside this one
    child = os.fork()
    if not child:
        os.close(given["lifeline"])
        _with_parent()
        if "process" not in entered:
            _run(given, entered)
        inside = os.fork()
        if not inside:
            _with_parent()
            _run(given, entered)
        os.close(given["control"])
        os._exit(_status(os.waitpid(inside, 0)[1]))
    os.close(given["control"])
    _watch(child, given["lifeline"])


def _run(given: "dict[str, Any]", entered: "list[str]") -> None:
    status = 70
    try:
        os.dup2(given["errors"], 2)
        sys.path[:] = given["paths"]
        sys.modules.pop("namespaces", None)
        module = __import__(given["module"], fromlist=["main"])
        module.main(given["control"], entered, given["without"])
        status = 0
    except BaseException:  # noqa: BLE001  last chance to report: the process ends here
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def _with_parent() -> None:
    """Make this process end with its parent."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _watch(child: int, lifeline: int) -> None:
    """Wait for the child; end it when the other end of `lifeline` closes."""
    wait = select.poll()
    wait.register(lifeline, select.POLLIN)
    ended = os.pidfd_open(child) if hasattr(os, "pidfd_open") else -1
    if ended >= 0:
        wait.register(ended, select.POLLIN)
    while True:
        found = wait.poll(None if ended >= 0 else 50)
        if any(descriptor == lifeline for descriptor, _ in found):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os._exit(128 + signal.SIGKILL)
        gone, status = os.waitpid(child, os.WNOHANG)
        if gone:
            os._exit(_status(status))


def _status(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    main()
