"""The environment is said once, in pyproject.toml; what repeats it must agree."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from rattler import MatchSpec

import workbench

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAME = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}
PIP_ONLY = {"pylopdf-fonts-zh-cn", "typst"}


def _declared() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    ranges = {(r := Requirement(line)).name: _range(str(r.specifier)) for line in lines}
    return ranges | {"python": _range(project["project"]["requires-python"])}


def _range(text: str) -> str:
    return ",".join(sorted(part.strip() for part in text.split(",")))


def _environment() -> tuple[list[str], list[str]]:
    parts = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = next(part["pip"] for part in parts if isinstance(part, dict))
    return [part for part in parts if isinstance(part, str)], pip


def test_conda_environment_repeats_names_and_ranges_of_pyproject():
    """Every dependency of pyproject.toml stands in environment.yml with the same range, and nothing else does."""
    conda, pip = _environment()
    found = {}
    for text in conda:
        spec = MatchSpec(text)
        found[spec.name.normalized] = _range(str(spec.version or ""))
    assert found.pop("pip") == ""
    expected = {CONDA_NAME.get(n, n): r for n, r in _declared().items() if n not in PIP_ONLY}
    assert found == expected
    by_pip = {(r := Requirement(line)).name: _range(str(r.specifier)) for line in pip if line != "-e ."}
    assert by_pip == {name: _declared()[name] for name in PIP_ONLY}


def test_lock_pins_everything_with_hashes_and_names_no_host():
    """Each pinned package carries a hash, the declared ones lie in their range, and no index is named."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock
    entries = re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ]+)(.*?)(?=^[a-z0-9]|\Z)", lock, flags=re.M | re.S)
    assert all("--hash=sha256:" in rest for _, _, rest in entries)
    pinned: dict[str, list[str]] = {}
    for name, version, _ in entries:
        pinned.setdefault(name, []).append(version)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for line in project["project"]["dependencies"] + project["dependency-groups"]["dev"]:
        requirement = Requirement(line)
        assert pinned.get(requirement.name), f"{requirement.name} is not in requirements.lock: run make lock"
        assert all(requirement.specifier.contains(v) for v in pinned[requirement.name]), requirement


def test_every_dependency_has_its_reason():
    """docs/decisions.md names each dependency of pyproject.toml and why it is there."""
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    for name in sorted(_declared().keys() - {"python"}):
        assert f"`{name}`" in decisions, f"docs/decisions.md does not say why {name} is a dependency"


def test_the_version_is_one():
    """The package, pyproject.toml and CITATION.cff name the same version and licence."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"] == workbench.__version__
    assert citation["license"] == project["license"]


def test_hooks_before_a_commit_are_the_environments_tools():
    """Nothing is fetched from elsewhere, and each hook is a line of `make lint`."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert [repo["repo"] for repo in hooks] == ["local"]
    assert lint
    for hook in hooks[0]["hooks"]:
        assert hook["language"] == "system"
        assert f"$(BIN)/{hook['entry'].split(' --')[0]} " in lint[1], hook["entry"]


def test_the_package_says_that_it_has_types():
    """The marker of PEP 561 lies in the package, and its strict part names every module of the ground."""
    assert (ROOT / "src" / "workbench" / "py.typed").is_file()
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    strict = next(part["module"] for part in mypy["overrides"] if part.get("disallow_untyped_defs"))
    ground = {file.stem for file in (ROOT / "src" / "workbench").glob("*.py")} - {"__init__"}
    assert {f"workbench.{name}" for name in ground} | {"workbench", "workbench.methods.*"} == set(strict)
