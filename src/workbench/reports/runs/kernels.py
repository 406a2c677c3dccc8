"""Kernels of this very environment: started plainly, or forked from a process that has the libraries loaded."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import WorkbenchError
from workbench.reports.runs.slots import PACKAGE

if TYPE_CHECKING:
    from jupyter_client.connect import KernelConnectionInfo

_LONGEST_SOCKET_FOLDER = 50
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_SHARED = (
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "pyarrow.pandas_compat",
    "workbench.reports.page.notebook",
    "workbench.result",
    "workbench.warehouse",
)
# A kernel loads its debugger even where nobody can debug, for a third of what the rest of its start costs.
_LAUNCH = "import runpy, sys; sys.modules['debugpy'] = None; runpy.run_module('ipykernel_launcher', None, '__main__')"
FORKS = sys.platform == "linux" and hasattr(os, "pidfd_open")
"""Whether kernels can be forked here."""


class Nursery:
    """A process with the libraries of the studies loaded, from which kernels are forked; a context manager's worth.

    Parameters
    ----------
    studies : iterable of str
        Their rooms in the package are loaded beside what every notebook uses.

    Raises
    ------
    WorkbenchError
        If loading starts threads: a fork would then inherit their locks without the threads.
    """

    def __init__(self, studies: tuple[str, ...] = ()) -> None:
        rooms = [f"workbench.studies.{s}" for s in studies if (PACKAGE / "studies" / s / "__init__.py").is_file()]
        command = [sys.executable, "-m", "workbench.reports.runs.nursery", str(os.getpid()), *_SHARED, *rooms]
        calm = (
            os.environ | ONE_THREAD | {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
        )  # or loading Arrow starts a thread
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=calm)
        atexit.register(self.end)
        threads = self._answer()["threads"]
        if threads != 1:
            self.end()
            raise WorkbenchError(
                "the preloaded process has {threads} threads and can't be forked. Use --kernel plain."
            ).of(threads)

    def fork(self, file: str, cwd: str, env: dict[str, str]) -> int:
        """Fork a kernel that serves a connection file; give its process number."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write(json.dumps({"file": file, "cwd": cwd, "env": env}) + "\n")
            self._process.stdin.flush()
        return self._answer()["pid"]

    @property
    def lives(self) -> bool:
        """Whether it can be asked for kernels."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, and with it every kernel that it forked."""
        self._process.communicate()

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise WorkbenchError("the preloaded process ended, most likely for want of memory. Try --kernel plain.")
        return json.loads(line)


class _Forked:
    """A forked kernel behind the few methods of Popen that its manager uses."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = -1

    def poll(self) -> int | None:
        if self._handle >= 0 and select.select([self._handle], [], [], 0)[0]:
            os.close(self._handle)
            self._handle = -1
        return None if self._handle >= 0 else 1

    def wait(self) -> int:
        while self.poll() is None:
            select.select([self._handle], [], [])
        return 1

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def kernel_manager(nursery: Nursery | None = None) -> type:
    """Make the class of kernel managers: sockets in the worker's own folder, kernels plain or from a nursery."""
    import uuid

    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning import LocalProvisioner

    folder = os.environ["JUPYTER_RUNTIME_DIR"]
    sockets = os.name == "posix" and len(folder) <= _LONGEST_SOCKET_FOLDER

    class Forks(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
            assert nursery
            file, cwd = cmd[cmd.index("-f") + 1], str(options.get("cwd") or os.getcwd())
            forked = _Forked(nursery.fork(file, cwd, {k: str(v) for k, v in options["env"].items()}))
            self.process = cast("subprocess.Popen[Any]", forked)
            self.pid = self.pgid = forked.pid
            return self.connection_info

    class Kernel(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            options |= {"connection_file": str(Path(folder, f"{uuid.uuid4().hex[:12]}.json"))}
            super().__init__(transport="ipc" if sockets else "tcp", **options)

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-c", _LAUNCH, "--log-level=50", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

        async def _async_pre_start_kernel(self, **options: Any) -> Any:
            if nursery and self.provisioner is None:
                self.kernel_id = uuid.uuid4().hex
                self.provisioner = Forks(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
            return await super()._async_pre_start_kernel(**options)

    return Kernel
