"""The peer `seminr` as a live oracle: it runs in its own environment, and is asked by files.

Imported, this module gives `ask` (and needs NumPy only). Run by the interpreter of `.venv-peers`, it is the one that
answers: `python seminr_peer.py FOLDER` reads FOLDER/job.json and writes FOLDER/answer.json and FOLDER/answer.npz.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-peers" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ABSENT = "the peers are not installed: `make peers` puts them into .venv-peers"
TABLES = ("paths", "weights", "loadings")


class PeerAbsent(Exception):
    """The environment of the peers is not here."""


def ask(**job: object) -> dict:
    """Give what `seminr` finds.

    Parameters
    ----------
    data : "mobi", "corp_rep" (its own copies), or (columns, array of shape (n, columns))
    items : dict of construct to items
    paths : dict of target to sources
    formative : list of constructs of mode B
    higher_order : dict of construct to its dimensions
    interactions : list of (source, moderator), in two stages
    scheme : "path" or "factorial"
    stop : int
        Stop when the absolute changes of all weights sum to less than 10 ** -stop.
    missing_value : float
    indices : array, shape (resamples, n)
        Rows drawn in each resample.
    resamples : int
        Instead of `indices`: draw so many itself, and say how long all of it took.

    Returns
    -------
    dict
        paths, weights, loadings, r2, reliability, htmt: name to number ("A->B", "A:item", "A~B", "A:measure");
        columns and values of the data; cpu (seconds of `bootstrap_model`); with `indices`, boot: quantity to
        (names, array of shape (resamples, names)).

    Raises
    ------
    PeerAbsent
        If `.venv-peers` is not here.
    """
    if not PYTHON.exists():
        raise PeerAbsent(ABSENT)
    with tempfile.TemporaryDirectory() as name:
        folder, arrays = Path(name), {}
        if not isinstance(job["data"], str):
            job["columns"], arrays["values"] = list(job["data"][0]), np.asarray(job["data"][1], dtype=float)
            job["data"] = "given"
        if "indices" in job:
            arrays["indices"] = job.pop("indices")
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        np.savez(folder / "job.npz", **arrays)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        done = subprocess.run(
            [PYTHON, __file__, folder], env=os.environ | threads, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the peer failed:\n{done.stderr}")
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        with np.load(folder / "answer.npz") as arrays:
            answer["values"] = arrays["values"]
            answer["boot"] = {name: (answer["names"][name], arrays[name]) for name in TABLES if name in arrays}
    return answer


def _named(matrix, pairs: list, joint: str) -> dict[str, float]:
    return {f"{a}{joint}{b}": matrix.get(*((a, b) if joint == "->" else (b, a))) for a, b in pairs}


def _answered(folder: Path) -> None:
    """Fit and resample, as the peer's own documentation does it."""
    import seminr
    from seminr.datasets import load_corp_rep, load_mobi
    from seminr.evaluate import htmt, reliability_table
    from seminr.specify.interactions import two_stage

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    arrays = np.load(folder / "job.npz")
    if job["data"] == "given":
        columns, values = job["columns"], arrays["values"]
    else:
        data = {"mobi": load_mobi, "corp_rep": load_corp_rep}[job["data"]]()
        columns, values = list(data.columns), data.values
    answer: dict = {"columns": columns, "version": __import__("importlib.metadata").metadata.version("seminr")}
    kept = {"values": values}
    if "items" in job:
        formative, higher = job.get("formative", []), job.get("higher_order", {})

        def mode(name: str) -> str:
            return "regression_weights" if name in formative else "correlation_weights"

        measured = [seminr.composite(name, items, weights=mode(name)) for name, items in job["items"].items()]
        measured += [seminr.higher_composite(name, parts, weights=mode(name)) for name, parts in higher.items()]
        measured += [seminr.interaction_term(a, b, method=two_stage) for a, b in job.get("interactions", [])]
        drawn = [seminr.paths(from_=sources, to=target) for target, sources in job["paths"].items()]
        fit = seminr.estimate_pls(
            (columns, values),
            seminr.constructs(*measured),
            seminr.relationships(*drawn),
            inner_weights=seminr.path_factorial if job.get("scheme") == "factorial" else seminr.path_weighting,
            missing_value=job.get("missing_value"),
            stop_criterion=job.get("stop", 7),
        )
        edges = [(s, t) for t, sources in job["paths"].items() for s in sources]
        owned = [(c, i) for c, items in [*job["items"].items(), *higher.items()] for i in items]
        read = {"paths": (edges, "->"), "weights": (owned, ":"), "loadings": (owned, ":")}
        answer |= {
            "paths": _named(fit.path_coef, *read["paths"]),
            "weights": _named(fit.outer_weights, *read["weights"]),
            "loadings": _named(fit.outer_loadings, *read["loadings"]),
            "r2": {target: fit.r_squared.get("Rsq", target) for target in job["paths"]},
            "iterations": fit.iterations,
        }
        if not higher and not job.get("interactions"):
            table, distinct = reliability_table(fit), htmt(fit)
            answer["reliability"] = {f"{c}:{m}": table.get(c, m) for c in table.rows for m in table.cols}
            pairs = [(a, b) for i, a in enumerate(distinct.rows) for b in distinct.rows[i + 1 :]]
            answer["htmt"] = {f"{a}~{b}": distinct.get(a, b) for a, b in pairs}
        if "indices" in arrays or "resamples" in job:
            start = time.process_time()
            given = {"indices": arrays["indices"]} if "indices" in arrays else {"nboot": job["resamples"], "seed": 1}
            boot = seminr.bootstrap_model(fit, **given)
            answer["cpu"] = time.process_time() - start
            answer["fails"] = boot.fails
            drawn = {"paths": boot.boot_paths, "weights": boot.boot_weights, "loadings": boot.boot_loadings}
            answer["names"] = {name: list(answer[name]) for name in TABLES}
            for name, matrices in drawn.items():
                kept[name] = np.array([list(_named(matrix, *read[name]).values()) for matrix in matrices])
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    np.savez(folder / "answer.npz", **kept)


if __name__ == "__main__":
    _answered(Path(sys.argv[1]))
