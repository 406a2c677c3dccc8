"""Jobs of JupyterLab's scheduler, run as every report is: checked parameters, one ledger, published whole."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from jupyter_scheduler.environments import EnvironmentManager
from jupyter_scheduler.exceptions import SchedulerError
from jupyter_scheduler.executors import ExecutionManager
from jupyter_scheduler.models import CreateJob, CreateJobDefinition, JobFeature, RuntimeEnvironment, Status
from jupyter_scheduler.orm import Job
from jupyter_scheduler.scheduler import Scheduler

from workbench.errors import WorkbenchError, require_known
from workbench.reports.runs.parameters import read_source, resolve
from workbench.reports.runs.render import SlotReport, run
from workbench.reports.runs.slots import Study, find_studies

FILES = {"html": "index.html", "ipynb": "report.ipynb", "xlsx": "tables.xlsx", "json": "results.json"}
_LABELS = {"html": "Report", "ipynb": "Notebook", "xlsx": "Tables", "json": "Numbers"}
_LONGEST = 1000
_HELD = {JobFeature.job_name, JobFeature.output_formats, JobFeature.stop_job, JobFeature.delete_job}


class ThisEnvironment(EnvironmentManager):
    """The one environment there is to choose: the one that Lab and the reports run in."""

    def list_environments(self) -> list[RuntimeEnvironment]:
        """Give it, with the files that a job can have."""
        return [
            RuntimeEnvironment(
                name="workbench",
                label="workbench",
                description="The environment of the workbench",
                file_extensions=["ipynb"],
                output_formats=list(FILES),
                metadata={"path": sys.executable},
            )
        ]

    def manage_environments_command(self) -> str:
        """Give no command: there is nothing to manage."""
        return ""

    def output_formats_mapping(self) -> dict[str, str]:
        """Name the files for people."""
        return _LABELS


class LedgerExecution(ExecutionManager):
    """Runs a job's study through `workbench.reports.runs.render.run` and hands over the files that were published."""

    said = ""

    def execute(self) -> None:
        """Run the study with the job's parameters.

        Raises
        ------
        WorkbenchError
            If the notebook is no study, was changed since, a parameter does not fit, or the run failed.
        """
        root = Path(self.root_dir)
        study = study_of(Path(self.staging_paths["input"]), root)
        (made,) = run([study.name], self.model.parameters or {}, root=root, progress=False).slots
        if made.status not in ("done", "unchanged"):
            raise WorkbenchError(made.message)
        self.said = made.message
        self._hand_over(made)

    def _hand_over(self, made: SlotReport) -> None:
        for kind in self.model.output_formats or ():
            if (made.folder / FILES[kind]).is_file():  # else the page says why not
                shutil.copyfile(made.folder / FILES[kind], self.staging_paths[kind])

    def on_complete(self) -> None:
        """Put the headline beside the job."""
        super().on_complete()
        with self.db_session() as session:
            session.query(Job).filter(Job.job_id == self.job_id).update({"status_message": self.said[:_LONGEST]})
            session.commit()

    def supported_features(cls) -> dict[JobFeature, bool]:
        """Say which parts of a job are held to."""
        return {feature: feature in _HELD for feature in JobFeature}

    def validate(cls, input_path: str) -> bool:
        """Take any notebook: `LedgerJobs` has looked at it."""
        return True


class LedgerJobs(Scheduler):
    """The scheduler's own jobs, for studies, now; what comes back every month is a plan's business."""

    task_runner_class = None

    def create_job(self, model: CreateJob) -> str:
        """Refuse what would fail, then start the job.

        Raises
        ------
        SchedulerError
            If the notebook is no study, or a parameter is unknown or ill-typed.
        """
        root = Path(self.root_dir)
        try:
            study = study_of(root / model.input_uri, root)
            resolve(study.parameters, model.parameters or {}, study=study.name)
        except (WorkbenchError, OSError) as error:
            raise SchedulerError(str(error)) from error
        job = super().create_job(model)
        with self.db_session() as session:  # until its process begins it would be shown as stopped
            waiting = session.query(Job).filter(Job.job_id == job, Job.start_time.is_(None))
            waiting.update({"status": Status.QUEUED})
            session.commit()
        return job

    def create_job_definition(self, model: CreateJobDefinition) -> str:
        """Refuse: this scheduler would lose the runs that are due while Lab is closed."""
        raise SchedulerError(
            "Lab runs a study now. What comes back is written in a plan (reports/plans) and run by workbench schedule, "
            "which also catches up on what was missed."
        )


def study_of(notebook: Path, root: Path) -> Study:
    """Give the study that a notebook, or a copy of it, is.

    Raises
    ------
    WorkbenchError
        If there is no study of that name, or its cells are not those of the notebook.
    """
    studies: dict[str, Any] = find_studies(root)
    require_known("study", notebook.stem, studies, "notebooks")
    study = studies[notebook.stem]
    if read_source(notebook.read_bytes()) != study.cells:
        raise WorkbenchError(
            "'{notebook}' is not notebooks/{notebook} as it stands now. Reports are made of that one: save it "
            "there, then create the job anew."
        ).of(notebook.name)
    return study
