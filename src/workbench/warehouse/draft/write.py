"""How is a proposal written? As a mapping with comments: what is not sure, what was left out and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from workbench.warehouse.draft.linked import ROW
from workbench.warehouse.draft.months import names_no_year
from workbench.warehouse.draft.propose import Block, Proposal, unused
from workbench.warehouse.draft.sample import Sample, together
from workbench.warehouse.draft.values import inline, quoted

CHECK = "# CHECK: "


def mapping_text(made: Proposal, *, title: str, operator: str) -> str:
    """Write a mapping that loads as it is."""
    files = list(dict.fromkeys(one.at for one in (*(block.sample for block in made.blocks), *made.homeless)))
    lines = [
        f"# Drafted from {_said(', '.join(files[:3]))}{' and others' if len(files) > 3 else ''}.",
        "# What is not sure says CHECK: mend it, and take the word away. Keys and values: docs/mappings.md.",
        f"title = {quoted(title)}",
        f"operator = {quoted(operator)}",
        f"as_of = {made.as_of}" + (f" {CHECK}{made.doubt}" if made.doubt else ""),
    ]
    if made.parameters:
        lines += ["", "[parameters] # what studies take for this source, unless they are told otherwise"]
        lines += [
            f"{name} = {said}" + (f" # {_said(why)}" if why else "") for name, (said, why) in made.parameters.items()
        ]
    for row in made.rows:
        lines += ["", "[[rows]]"]
        lines.append(
            f"{CHECK}its days and costs (contact_cost, incentive_cost, margin); randomised, if chance made the arms"
        )
        lines += [f"{key} = {value}" for key, value in row.items()]
    seen: set[int] = set()
    said: set[str] = set()
    steps: dict[int, str] = {}
    for sample in (b.sample for b in made.blocks if b.sample.links or b.sample.wide):
        if id(sample) not in steps:
            steps[id(sample)] = f"{'linked' if sample.links else 'months'}_{len(steps) + 1}"
            lines += _step(sample, steps[id(sample)])
    for block in made.blocks:
        first, step = id(block.sample) not in seen, steps.get(id(block.sample), "")
        lines += _block(block, made.blocks, step, said, first=first)
        seen.add(id(block.sample))
    for sample in made.homeless:
        lines += [
            "",
            f"# Left out: {_said(sample.at)} fits no table by its names ({_said(', '.join(sample.columns))}).",
        ]
    return "\n".join(lines) + "\n"


def _block(block: Block, blocks: Iterable[Block], step: str, said: set[str], *, first: bool) -> list[str]:
    sample, path = block.sample, step or block.sample.at
    where = f"{'prepared' if step else 'path'} = {quoted(path)}"
    lines = ["", "[[file]]", where, f"table = {quoted(block.table.name)}"]
    keys = {key: _toml(value) for key, value in ({} if step else sample.options).items()} | block.keys
    if nothing := sample.nothing():
        keys["missing"] = f"{_toml(nothing)[:-1]}, {keys['missing'][1:]}" if "missing" in keys else _toml(nothing)
    lines += [f"{key} = {value}" for key, value in keys.items()]
    lines += [f"{CHECK}{doubt}" for doubt in sample.doubts]
    rest = unused(b for b in blocks if b.sample is sample)
    beside = [ROW, *(one.here for one in sample.links if one.here in rest)]
    if sample.links:
        lines.append(f"beside = {_toml(beside)} # by these a refused record is found and mended")
    if first and (rest := [name for name in rest if not sample.links or name not in beside]):
        lines += ["ignore = [ # left out: no column of the tables is called so, unless it says why"]
        lines += [
            f"  {quoted(name)}," + (f" # {sample.misfits[name]}" if name in sample.misfits else "") for name in rest
        ]
        lines.append("]")
    lines.append("[file.columns]")
    for column in block.table.columns:
        if one := block.cells.get(column.name):
            new = one.doubt and path + one.doubt not in said
            lines.append(f"{column.name} = {one.toml}" + (f" {CHECK}{_said(one.doubt)}" if new else ""))
            said.add(path + one.doubt)
    return lines


def _step(sample: Sample, name: str) -> list[str]:
    """The step that makes rows of months, and finds the customers of a file which knows them by another key."""
    doubts = list(filter(None, sample.wide.doubts.values())) if sample.wide else []
    sql, more = (sample.wide.sql(), {"multiplies": True, "drops": True}) if sample.wide else ("", {})
    inputs = [("rows_of", sample, more)]
    for first in sample.links:
        sql = first.sql(f"({sql})" if sql else "rows_of")
        for number, link in enumerate(first.chain()):
            doubts.append(f"{link.here} is taken for {link.there} of {link.by.at}, which tells the customer. Right?")
            inputs.append((f"customers_of{'_those' * number}", link.by, {"lookup": True}))
    plain = "'''" not in sql and sql.replace("\n", "").isprintable()
    lines = ["", "[[prepare]]", *(CHECK + _said(doubt) for doubt in doubts), f"name = {quoted(name)}"]
    lines += [f"sql = '''\n{sql}\n'''" if plain else f"sql = {quoted(sql)}", "[prepare.inputs]"]
    for table, of, more in inputs:
        keys = {key: _toml(value) for key, value in (of.options | more).items()}
        lines.append(f"{table} = {inline(path=quoted(of.at), **keys)}")
    return lines


def _said(text: str) -> str:
    """A text as a comment may hold it: on one line, without signs that nobody sees."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


def doubts(text: str) -> list[str]:
    """What a drafted mapping asks its reader to check, with the numbers of the lines."""
    return [f"line {n}: {line.replace(CHECK, '-- ')}" for n, line in enumerate(text.splitlines(), 1) if CHECK in line]


def as_patterns(samples: Sequence[Sample], folder: Path, apart: Collection[str] = ()) -> list[Sample]:
    """Take files that differ by the digits in their names, and perhaps by columns that come later, for one delivery.

    A pattern takes no other file; those in `apart`, which lack a column that others need, are named each, and those
    with columns of months without a year, which each may mean another.
    """
    samples = [replace(one, at=re.sub(r"([*?[])", r"[\1]", one.path.relative_to(folder).as_posix())) for one in samples]
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        key = re.sub(r"\d+", "*", sample.at), repr(sample.options | {"encoding": ""})
        key = (sample.at, key[1]) if names_no_year(sample) else key
        groups.setdefault(key, []).append(sample)
    for key, group in list(groups.items()):
        most = max(group, key=lambda one: len(one.columns))
        if key[0] in apart or any(not one.columns.keys() <= most.columns.keys() for one in group):
            del groups[key]
            for one in group:
                groups.setdefault((key[0], key[1] + repr(list(one.columns))), []).append(one)
    kept = []
    for (pattern, _), group in groups.items():
        named, others = ({one.path.relative_to(folder).as_posix() for one in these} for these in (group, samples))
        narrow = re.sub(r"\d", "?", group[0].at)
        patterns = [p for p in (pattern, narrow) if {one for one in others if fnmatchcase(one, p)} == named]
        if len(group) > 1 and patterns:
            kept.append(replace(together(sorted(group, key=lambda one: one.path.name)), at=patterns[0]))
        else:
            kept += group
    return kept
