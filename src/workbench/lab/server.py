"""What JupyterLab's panel asks for: the studies and their parameters, a new study, a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_scheduler.exceptions import SchedulerError
from jupyter_scheduler.models import CreateJob
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler, AuthenticatedFileHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

from workbench.catalogue import entry, label, prose
from workbench.errors import WorkbenchError, require_known
from workbench.lab.execution import FILES
from workbench.lab.start import EXTENSIONS
from workbench.lab.template import new_study
from workbench.messages import TAGS, word
from workbench.reports.page.languages import spoken, title_of, translated
from workbench.reports.runs.choices import called, choices, wrong
from workbench.reports.runs.parameters import Parameter
from workbench.reports.runs.slots import Study, find_slots, find_studies, read_manifest

EXTENSION = EXTENSIONS / "workbench" / "static" / "remoteEntry.js"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "workbench.lab.server"}]


def _load_jupyter_server_extension(server: Any) -> None:
    base = url_path_join(server.web_app.settings["base_url"], "workbench")
    root = Path(server.root_dir).resolve()
    rooms = [
        ("studies", StudiesHandler, {"root": root}),
        ("runs", RunsHandler, {"root": root}),
        ("checks", ChecksHandler, {"root": root}),
        ("words", WordsHandler, {"root": root}),
        ("site/(.*)", SiteHandler, {"path": str(root / "reports" / "site")}),
    ]
    server.web_app.add_handlers(".*$", [(url_path_join(base, name), *room) for name, *room in rooms])


class _Handler(APIHandler):
    """Knows the project, and says a refusal as such; who may ask is decided as for every other page of Lab."""

    auth_resource = "contents"

    def initialize(self, root: Path) -> None:
        self.root = root

    def asked(self) -> dict[str, Any]:
        body = self.get_json_body()
        return body if isinstance(body, dict) else {}

    def refuse(self, errors: Mapping[str, str]) -> None:
        self.set_status(400)
        self.finish(json.dumps({"errors": dict(errors)}))


class StudiesHandler(_Handler):
    """The studies of the project, and a new one."""

    @authenticated
    @authorized
    def get(self) -> None:
        """Give each study with its parameters and its last report."""
        studies = [describe(study, self.root) for study in find_studies(self.root).values()]
        self.finish(json.dumps({"studies": studies}))

    @authenticated
    @authorized
    def post(self) -> None:
        """Write a new study from the template."""
        try:
            path = new_study(str(self.asked().get("name", "")), self.root)[0]
        except WorkbenchError as error:
            return self.refuse({"": error.said(spoken())})
        self.set_status(201)
        self.finish(json.dumps({"notebook": path.relative_to(self.root).as_posix()}))


class ChecksHandler(_Handler):
    """What may be chosen in the form of a study, and what is wrong with what was."""

    @authenticated
    @authorized
    def post(self) -> None:
        """Give errors and choices by parameter, for the values that stand in the form."""
        asked = self.asked()
        study, given = find_studies(self.root)[str(asked["study"])], asked.get("parameters") or {}
        offered = choices(study, given, self.root, spoken())
        self.finish(json.dumps({"errors": refusals(study, given, self.root), "choices": offered}))


class WordsHandler(_Handler):
    """The labels of the panel in the language of the server."""

    @authenticated
    @authorized
    def get(self) -> None:
        """Give what each is called."""
        self.finish(json.dumps(words(spoken()) | {"": TAGS[spoken()]}))


class RunsHandler(_Handler):
    """A run of a study, as a job of Lab's scheduler."""

    @authenticated
    @authorized
    def post(self) -> None:
        """Check the parameters; start the job, or say beside which field what is wrong."""
        asked = self.asked()
        name, given = str(asked.get("study", "")), asked.get("parameters") or {}
        studies = find_studies(self.root)
        try:
            require_known("study", name, studies)
            if errors := refusals(studies[name], given, self.root):
                return self.refuse(errors)
            (slot,) = find_slots([name], given, self.root)
            job = self._start(studies[name], given)
        except (WorkbenchError, SchedulerError) as error:
            return self.refuse({"": word(str(error), spoken())})
        self.set_status(202)
        self.finish(json.dumps({"job": job, "page": _page(slot.folder(self.root), self.root)}))

    def _start(self, study: Study, given: Mapping[str, Any]) -> str:
        scheduler = self.settings["scheduler"]
        model = CreateJob(
            name=study.name,
            input_uri=study.path.relative_to(self.root).as_posix(),
            runtime_environment_name="workbench",
            output_formats=list(FILES),
            parameters={name: str(value) for name, value in given.items()},
        )
        return scheduler.create_job(model)


class SiteHandler(AuthenticatedFileHandler):
    """The published reports, so that their links work inside Lab; a script in one would not run."""

    @property
    def content_security_policy(self) -> str:
        """Let pages keep their own place, pictures and style, and nothing else."""
        return (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; "
            "sandbox allow-same-origin allow-popups allow-downloads"
        )


def words(language: str) -> dict[str, str]:
    """Say every label that the extension's script asks for by ``t('…')``."""
    return {text: entry(text, language) for text in re.findall(r"\bt\('([^']+)'\)", EXTENSION.read_text("utf-8"))}


def describe(study: Study, root: Path) -> dict[str, Any]:
    """Give what the panel shows of a study; one that cannot be read says why.

    Parameters
    ----------
    study : Study
    root : Path
        The project.
    """
    known = {"name": study.name, "title": study.name, "notebook": study.path.relative_to(root).as_posix()}
    folder = root / "reports" / "site" / study.name / "default"
    manifest = read_manifest(folder)
    manifest |= manifest.get("said", {}).get(spoken(), {})
    report = {key: str(manifest.get(key, "")) for key in ("status", "headline", "error", "finished")}
    try:
        fields = [_field(parameter) for parameter in study.parameters]
        cells = [{"cell_type": "markdown", "source": c["source"]} for c in study.cells if c["kind"] == "markdown"]
        title = title_of(translated({"cells": cells, "metadata": {}}, spoken()), study.name)
        return known | {"title": title, "parameters": fields, "report": report, "page": _page(folder, root)}
    except WorkbenchError as error:
        return known | {"parameters": [], "report": report, "page": _page(folder, root), "error": error.said(spoken())}


def refusals(study: Study, given: Mapping[str, Any], root: Path) -> dict[str, str]:
    """Say what is wrong with each value, by parameter."""
    errors = wrong(study, given, root).items()
    said = {name: str(error).removeprefix(f"study '{study.name}': ") for name, error in errors}
    return {name: word(text, spoken()) for name, text in said.items()}


def _field(parameter: Parameter) -> dict[str, Any]:
    told = {key: getattr(parameter, key) for key in ("name", "type")}
    told |= {"unit": word(prose(parameter.unit, spoken()), spoken()), "meaning": prose(parameter.meaning, spoken())}
    told |= {"label": label(parameter.name, spoken(), "parameter") if spoken() != "en" else parameter.name}
    literal = [(str(choice), called(str(choice), parameter.name, spoken())) for choice in parameter.choices]
    return told | {"default": str(parameter.default), "choices": literal}


def _page(folder: Path, root: Path) -> str:
    return (folder / "index.html").relative_to(root / "reports" / "site").as_posix()
