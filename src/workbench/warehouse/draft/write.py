"""How is a proposal written? As a mapping with comments: what is not sure, what was left out and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from workbench.warehouse.draft.linked import ROW
from workbench.warehouse.draft.propose import Block, Proposal, unused
from workbench.warehouse.draft.sample import Sample, together
from workbench.warehouse.draft.values import inline, quoted

CHECK = "# CHECK: "


def mapping_text(made: Proposal, paths: dict[int, str], *, title: str, operator: str) -> str:
    """Write a mapping that loads as it is; `paths` has the path of each sample by its identity."""
    files = list(dict.fromkeys(paths.values()))
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
    linked = {id(b.sample): b.sample for b in made.blocks if b.sample.links}
    for number, sample in enumerate(linked.values(), 1):
        lines += _step(sample, f"linked_{number}", paths)
        paths = paths | {id(sample): f"linked_{number}"}
    for block in made.blocks:
        lines += _block(block, made.blocks, paths[id(block.sample)], said, first=id(block.sample) not in seen)
        seen.add(id(block.sample))
    for sample in made.homeless:
        lines += [
            "",
            f"# Left out: {_said(paths[id(sample)])} fits no table by its names ({_said(', '.join(sample.columns))}).",
        ]
    return "\n".join(lines) + "\n"


def _block(block: Block, blocks: Iterable[Block], path: str, said: set[str], *, first: bool) -> list[str]:
    sample = block.sample
    where = f"{'prepared' if sample.links else 'path'} = {quoted(path)}"
    lines = ["", "[[file]]", where, f"table = {quoted(block.table.name)}"]
    keys = {key: _toml(value) for key, value in ({} if sample.links else sample.options).items()} | block.keys
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


def _step(sample: Sample, name: str, paths: dict[int, str]) -> list[str]:
    """The step that finds the customers of a file which knows them by another key."""
    link = sample.links[0]
    said = f"{link.here} is taken for {link.there} of {paths[id(link.by)]}, which tells the customer. Right?"
    plain = "'''" not in link.sql() and link.sql().replace("\n", "").isprintable()
    sql = f"'''\n{link.sql()}\n'''" if plain else quoted(link.sql())
    lines = ["", "[[prepare]]", CHECK + _said(said), f"name = {quoted(name)}", f"sql = {sql}", "[prepare.inputs]"]
    for table, of, more in (("rows_of", sample, {}), ("customers_of", link.by, {"lookup": True})):
        keys = {key: _toml(value) for key, value in (of.options | more).items()}
        lines.append(f"{table} = {inline(path=quoted(paths[id(of)]), **keys)}")
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


def as_patterns(
    samples: Sequence[Sample], folder: Path, apart: Collection[str] = ()
) -> tuple[list[Sample], dict[int, str]]:
    """Take files that differ by the digits in their names, and perhaps by columns that come later, for one delivery.

    A pattern takes no other file; those in `apart`, which lack a column that others need, are named each.
    """
    at = {id(sample): sample.path.relative_to(folder).as_posix() for sample in samples}
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        key = re.sub(r"\d+", "*", at[id(sample)]), repr(sample.options | {"encoding": ""})
        groups.setdefault(key, []).append(sample)
    for key, group in list(groups.items()):
        most = max(group, key=lambda one: len(one.columns))
        if key[0] in apart or any(not one.columns.keys() <= most.columns.keys() for one in group):
            del groups[key]
            for one in group:
                groups.setdefault((key[0], key[1] + repr(list(one.columns))), []).append(one)
    kept, paths = [], {}
    for (pattern, _), group in groups.items():
        named, others = {at[id(one)] for one in group}, set(at.values())
        narrow = re.sub(r"\d", "?", at[id(group[0])])
        patterns = [p for p in (pattern, narrow) if {one for one in others if fnmatchcase(one, p)} == named]
        if len(group) > 1 and patterns:
            kept.append(together(sorted(group, key=lambda one: one.path.name)))
            paths[id(kept[-1])] = patterns[0]
        else:
            kept += group
            paths |= {id(one): at[id(one)] for one in group}
    return kept, paths
