"""A process that has the libraries loaded and forks a kernel whenever one is asked for (Linux).

Started by `kernels.Nursery` as ``python -m workbench.reports.runs.nursery PARENT MODULE...``. It imports the modules,
never starts a thread, a database or an event loop, and answers each line of JSON on its standard input,
``{"file", "cwd", "env"}``, with the number of a new process that serves that connection file. Kernels end with it, and
it ends with the process that started it, whatever it is doing then, or with its input.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import signal
import sys

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(parent: int, modules: list[str]) -> None:
    """Load modules, then fork a kernel for every request until the input ends."""
    _end_with(parent)
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # costly, and of no use without a debugger's window
    for name in ("ipykernel.kernelapp", "ipykernel.debugger", "IPython.core.completerlib", *modules):
        importlib.import_module(name)
    asked, answers = sys.stdin, os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a kernel prints before it captures its output must not look like an answer
    signal.signal(signal.SIGCHLD, _bury)
    gc.collect()
    gc.freeze()
    mine = os.getpid()
    with contextlib.suppress(BrokenPipeError):  # nobody is there to hear the answer, as at the end of the input
        print(json.dumps({"threads": len(os.listdir("/proc/self/task"))}), file=answers)
        for line in asked:
            if not line.endswith("\n"):  # who asked was ended over it
                break
            child = os.fork()
            if not child:
                answers.close()
                _serve(line, mine)
            print(json.dumps({"pid": child}), file=answers)
    os._exit(0)  # kernels still alive die with it


def _end_with(parent: int) -> None:
    """Be killed when the process that started this one ends, or now if it has."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _bury(*_: object) -> None:
    """Take note of kernels that ended, so that none stays as a zombie and their time is counted."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _serve(line: str, parent: int) -> None:
    """Be a kernel, in a process group of its own, and end without the parent's clean-up."""
    status = 1
    try:
        _end_with(parent)
        request = json.loads(line)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        _as_if_new()
        from ipykernel.kernelapp import IPKernelApp

        app = IPKernelApp.instance()
        app.initialize(["--log-level=50", "-f", request["file"]])
        app.start()
        status = 0
    finally:
        os._exit(status)


def _as_if_new() -> None:
    """Take back what a fork shares and a new process does not: random state, and this module as the main one."""
    import numpy as np

    random.seed()
    np.random.seed(int.from_bytes(os.urandom(4), "little"))  # noqa: NPY002 - the state that libraries fall back on
    sys.argv = ["ipykernel_launcher"]
    sys.path[0] = os.getcwd()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
