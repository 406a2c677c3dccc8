"""Start JupyterLab on a project: its notebooks, this environment's kernel, our panel and our jobs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

EXTENSIONS = Path(__file__).resolve().parent / "extension"
_STATE = "reports/jobs/.state"


def open_lab(root: Path, arguments: Sequence[str] = ()) -> None:
    """Run JupyterLab until it is stopped, with the working directory and WORKBENCH_HOME at the project.

    Parameters
    ----------
    root : Path
        The project.
    arguments : sequence of str
        What JupyterLab is told besides; it wins over what is set here.
    """
    from jupyterlab.labapp import LabApp

    os.environ["WORKBENCH_HOME"] = str(root)
    os.chdir(root)
    Path(_STATE).mkdir(parents=True, exist_ok=True)
    LabApp.launch_instance(argv=[*(f"--{name}={value}" for name, value in settings(root).items()), *arguments])


def settings(root: Path) -> dict[str, str]:
    """Give JupyterLab's settings for a project.

    Nothing is installed into the environment for them, so they hold in an editable install and in a wheel alike. Paths
    of jobs are relative to the project: the address of a database does not bear every character of a folder's name.
    """
    return {
        "ServerApp.root_dir": str(root),
        "ServerApp.jpserver_extensions": "{'jupyterlab': True, 'workbench.lab.server': True}",
        "ServerApp.contents_manager_class": "workbench.lab.contents.Contents",
        "LabApp.extra_labextensions_path": str(EXTENSIONS),
        "LabApp.default_url": "/lab/tree/notebooks",
        "LabApp.extension_manager": "readonly",
        "SchedulerApp.db_url": f"sqlite:///{_STATE}/jobs.sqlite",
        "SchedulerApp.environment_manager_class": "workbench.lab.execution.ThisEnvironment",
        "SchedulerApp.scheduler_class": "workbench.lab.execution.LedgerJobs",
        "BaseScheduler.execution_manager_class": "workbench.lab.execution.LedgerExecution",
        "BaseScheduler.staging_path": _STATE,
        "BaseScheduler.output_directory": "reports/jobs",
    }
