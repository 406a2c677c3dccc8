"""Which canonical tables does a delivery hold, and where does each column come from? Proposed by names, then by values.

A file fills the table that its names and values fit best. One flat table, a row a customer, fills several: customers,
lines, bills and use of a month.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import permutations
from typing import Any

from workbench.errors import WorkbenchError
from workbench.warehouse import schema
from workbench.warehouse.draft.fit import FLAT, Block, blocks_of, once
from workbench.warehouse.draft.linked import HALF, MANY, holds, link
from workbench.warehouse.draft.months import by_month, widened
from workbench.warehouse.draft.sample import Sample, bare, month_end, month_of
from workbench.warehouse.draft.values import Cell, inline, quoted, words

BY_MONTH, MONTHS = ("bill", "usage_month", "payment"), "a column of a month: read by [[prepare]]"


@dataclass
class Proposal:
    """What is proposed: the day, what to check of it, the blocks, what studies take, rows, files that fit no table."""

    as_of: date
    doubt: str
    blocks: list[Block]
    parameters: dict[str, tuple[str, str]]
    rows: list[dict[str, str]]
    homeless: list[Sample]


def propose(
    samples: Sequence[Sample], *, today: date, operator: str, models: dict[str, list[str]], until: date | None = None
) -> Proposal:
    """Propose a mapping of some files.

    Parameters
    ----------
    samples : sequence of Sample
    today : date
        Stands for the day that the data reach where no column tells it.
    operator : str
        Whose data they are, where no column tells it.
    models : dict
        Items of each path model, by its name.
    until : date, optional
        The day that the data reach, where it is known.

    Raises
    ------
    WorkbenchError
        If no file fits any table.
    """
    fits = {id(s): blocks_of(s) for s in samples}
    listing = [b for s in samples for b in fits[id(s)] if b.table.name == "customer" and b.cells["customer_id"].sources]
    if listing := listing if len(samples) > 1 else []:
        of = max(listing, key=lambda block: block.score)
        link(samples, of.sample, of.cells["customer_id"].sources[0])
        fits |= {id(s): blocks_of(s) for s in samples if s.links}
    samples = _by_month(samples, fits, until, today)
    for found in fits.values():
        _one_customer(found)
    mains = {id(s): max(found, key=lambda b: b.score) for s in samples if (found := fits[id(s)])}
    if not mains:
        files = dict.fromkeys(s.path.name for s in samples)
        raise WorkbenchError(
            "no canonical table fits {files}. Write the mapping by hand (docs/mappings.md); workbench data describe "
            "says what tables hold."
        ).of(files)
    taken = {block.table.name for block in mains.values()}
    blocks = []
    for sample in samples:
        if main := mains.get(id(sample)):
            more = [b for b in fits[id(sample)] if b.table.name in FLAT and b.table.name not in taken]
            blocks += [main, *(more if main.table.name in FLAT else [])]
    blocks += _customers(blocks)
    _one_form(blocks)
    for block in blocks if listing else ():
        _doubt_strangers(block, of.sample, of.cells["customer_id"].sources[0])
    known, doubt = _known(blocks, until, today), ""
    named = max((month_end(month) for s in samples if (month := month_of(s.path.stem))), default=date.min)
    happened = any(one.last for b in blocks if b.table.name not in FLAT[:2] for one in b.cells.values())
    if not happened and max(known, default=date.min) < named < today:
        known, doubt = [named], "the month that the file's name tells: do the data reach its end?"
    as_of = max(known) + timedelta(days=1) if known else today.replace(day=1)
    doubt = doubt if known else "no column tells which day the data reach"
    order = list(schema.tables())
    blocks.sort(key=lambda b: order.index(b.table.name))
    _corrections(blocks)
    read = mains.keys() | {id(s.links[0].by) for s in samples if s.links}
    rows = {s.path for s in samples if s.wide}
    left = [s for s in samples if id(s) not in read and s.path not in rows]
    made = Proposal(as_of, doubt, blocks, {}, [], left)
    for block in blocks:
        _fill(block, made, operator)
    _parameters(made, models)
    return made


def _known(blocks: Iterable[Block], until: date | None, today: date) -> list[date]:
    """Days before today that the data reach."""
    days = [one.last for b in blocks for name, one in b.cells.items() if name not in ("due_on", "due_at", "ends_on")]
    return [day for day in (*days, until) if day and day < today]


def _by_month(samples: Sequence[Sample], fits: dict[int, list[Block]], until: date | None, today: date) -> list[Sample]:
    """Take columns of months for rows of each table that they fill; what else a file tells stays as it is."""
    near = max(_known((b for found in fits.values() for b in found), until, today), default=None)
    kept: list[Sample] = []
    for sample in samples:
        longs, wide = list[Block](), widened(sample, near, today)
        used: set[str] = set()
        for block in sorted(
            blocks_of(by_month(sample, wide, wide.columns)) if wide.columns else (), key=lambda b: -b.score
        ):
            told = {n for one in block.cells.values() for n in one.sources} & (wide.columns.keys() - used)
            if told and block.table.name in BY_MONTH:
                found = [b for b in blocks_of(by_month(sample, wide, told)) if b.table is block.table]
                used |= told if found else set()
                longs += found
        fits |= {id(one.sample): [one] for one in longs}
        kept += [one.sample for one in longs]
        if longs:
            apart = [name for one in longs for found in one.sample.wide.columns.values() for name in found.values()]
            sample = replace(sample.fresh(), misfits=dict.fromkeys(apart, MONTHS), links=sample.links)
            rest = replace(sample, columns={n: texts for n, texts in sample.columns.items() if n not in apart})
            tables = {one.table.name for one in longs}
            fits[id(sample)] = [replace(b, sample=sample) for b in blocks_of(rest) if b.table.name not in tables]
        kept.append(sample)
    return kept


def _corrections(blocks: list[Block]) -> None:
    """Take a file whose keys stand in a larger one of its table for a correction, which replaces those rows."""

    def keys(block: Block) -> set[tuple[str, ...]]:
        of = [source for name in block.table.key for source in block.cells.get(name, Cell("")).sources]
        return set(zip(*(block.sample.columns[name] for name in of), strict=True))

    for main, block in permutations(list(blocks), 2):
        if (
            main.table is not block.table
            or not main.table.key
            or not main.cells.keys() >= {*block.cells, *main.table.key}
        ):
            continue
        mine, theirs = keys(block), keys(main)
        months = [one.sample.wide.months()[-1] for one in (main, block) if one.sample.wide]
        later = len(months) > 1 and months[0] < months[1] and mine & theirs  # some of the months, once more
        some = max(HALF * len(mine), 1)  # of a piece of the larger one fewer are met
        some = some if main.sample.whole else min(some, MANY)
        if not later and (len(mine) >= len(theirs) or len(mine & theirs) < some):
            continue
        blocks.remove(block)
        blocks.insert(blocks.index(main) + 1, block)
        for same in (b for b in blocks if b.table is main.table):
            same.keys["keep"] = '"last"'
        doubt = f"its rows replace those of {main.sample.path.name} with the same key: a correction?"
        for name, one in main.cells.items():
            if "values = " in one.toml and block.cells.get(name, one).sources == one.sources:
                block.cells[name] = one
        block.cells[main.table.key[0]] = replace(block.cells[main.table.key[0]], doubt=doubt)


def _one_customer(blocks: list[Block]) -> None:
    """In one file the customer has one key, though another table takes that column for its own, as lines do."""
    of = next((b.cells["customer_id"] for b in blocks if b.table.name == "customer"), Cell(""))
    for block in blocks if of.sources else ():
        if "customer_id" in block.cells:
            block.cells["customer_id"] = of


def _one_form(blocks: list[Block]) -> None:
    """An identifier that is hidden in one file is hidden in each that has numbers of people under that name."""
    for column in {name for block in blocks for name, one in block.cells.items() if 'pseudonym = "' in one.toml}:
        found = [(block, one) for block in blocks if (one := block.cells.get(column)) and len(one.sources) == 1]
        toml = next((one.toml for _, one in found if 'pseudonym = "' in one.toml), "")
        for block, one in found if toml else ():
            if one.toml == quoted(one.sources[0]) and holds(block.sample, one.sources[0], 0):
                kind = toml.partition("pseudonym = ")[2].removesuffix(" }")
                block.cells[column] = replace(one, toml=inline(from_=one.toml, pseudonym=kind))


def _doubt_strangers(block: Block, customers: Sample, key: str) -> None:
    """Ask where the customers of a file are none of those that are listed."""
    one = block.cells.get("customer_id", Cell(""))
    texts = {text for name in one.sources for text in block.sample.texts(name)}
    if block.sample.whole and customers.whole and texts and texts.isdisjoint(customers.texts(key)) and not one.doubt:
        doubt = f"none of its values stands in {key} of {customers.path.name}: the same customers?"
        block.cells["customer_id"] = replace(one, doubt=doubt)


def _customers(blocks: list[Block]) -> list[Block]:
    """Customers out of the file of bills or use, where no file lists them."""
    names = {block.table.name for block in blocks}
    source = next((b for b in blocks if b.table.name in ("bill", "usage_month")), None)
    if "customer" in names or source is None or not source.cells["customer_id"].sources:
        return []
    first = min((one.first for one in source.cells.values() if one.first), default=None)
    if first is None:
        return []
    doubt = "no file lists the customers: all are taken to be there since the first month on record"
    cells = {"customer_id": source.cells["customer_id"], "joined_on": Cell(inline(constant=str(first)), (), doubt)}
    keys = {} if once(source) else {"keep": '"last"'}
    return [Block(source.sample, schema.table("customer"), cells, 0, keys)]


def _fill(block: Block, made: Proposal, operator: str) -> None:
    """Write what no column gives, and the days that are known by now."""
    last = made.as_of - timedelta(days=1)
    told = [day for one in block.cells.values() for source in one.sources if (day := month_of(source))]
    month = max(told, default=last.replace(day=1))
    of_customer = block.cells.get("customer_id", Cell("{ row_number = true }"))
    days = {"$AS_OF": made.as_of, "$LAST_DAY": last, "$MONTH": month, "$YEAR": last.year}
    tokens = {key: str(day) for key, day in days.items()} | {"$OPERATOR": operator.replace('"', "'")}
    for column in block.table.columns:
        said = words()["table"][block.table.name].get("otherwise", {}).get(column.name)
        if column.name not in block.cells and said and column.not_null:
            toml, doubt, sources = said[0], said[1], of_customer.sources[:0]
            if named := _by_file(block.sample, column):
                toml, doubt = inline(constant=quoted(named)), ""
            doubt = "" if told and column.name == "month" else doubt
            if toml == "$CUSTOMER":
                toml, sources = of_customer.toml, of_customer.sources
            elif toml[1:] in block.cells and toml.startswith("$"):
                toml, sources = block.cells[toml[1:]].toml, block.cells[toml[1:]].sources
            elif toml.startswith("$") and toml not in tokens:
                continue
            block.cells[column.name] = Cell(toml, sources, doubt)
    if "issued_on" in {c.name for c in block.table.columns} and "month" in block.cells:
        _month_ends(block, month_end(month) if told else last)
    for name, one in block.cells.items():
        toml = one.toml
        for key, value in tokens.items():
            toml = toml.replace(key, value)
        block.cells[name] = replace(one, toml=toml)
    lacking = [c.name for c in block.table.columns if c.not_null and c.name not in block.cells]
    assert not lacking, f"{block.table.name}: {lacking} has no source"


def _by_file(sample: Sample, column: schema.Column) -> str:
    """The accepted value that a file's name tells, as of complaints or of faults; "" for none."""
    name = bare(f"{sample.path.stem} {sample.options.get('sheet', '')}")
    codes = {value: words()["code"].get(column.name, {}).get(value, []) for value in column.accepted_values}
    return next((value for value, said in codes.items() if any(len(w) > 1 and bare(w) in name for w in said)), "")


def _month_ends(block: Block, last: date) -> None:
    """A bill of the one month that a flat table tells of is issued on its last day."""
    if "constant" in block.cells["month"].toml:
        for name in ("issued_on", "due_on"):
            if not block.cells[name].sources:
                block.cells[name] = Cell(inline(constant=str(last)), (), block.cells[name].doubt)


def _parameters(made: Proposal, models: dict[str, list[str]]) -> None:
    """What studies take for this source, where the data tell it."""
    said, tables = made.parameters, {block.table.name: block for block in made.blocks}
    month = (made.as_of - timedelta(days=1)).replace(day=1)
    for block in made.blocks:
        ended = block.cells.get("ended_on", Cell(""))
        if "see since" in ended.doubt:
            said["since"] = (str(month), "first day from which departures are known")
        elif ended.first and ended.first < made.as_of:
            first = ended.first.replace(day=1) if (ended.first + timedelta(days=1)).day == 1 else ended.first
            said["since"] = (str(first), "CHECK: the first on record left then; from which day are departures known?")
    if "usage_month" in tables and "constant" in tables["usage_month"].cells["month"].toml:
        said["previous"] = (str(made.as_of), "use is known of one month alone")
    if "payment" in tables and "bill" not in tables:
        said["basis"] = ('"payments"', "segments by single purchases")
    if survey := tables.get("survey_response"):
        entries = set(_said(survey.cells["items"]))
        fits = [name for name, items in models.items() if set(items) <= entries]
        if best := max(fits, key=lambda name: len(models[name]), default=""):
            for study in ("satisfaction", "voice", *(["path_model"] if len(models[best]) > 2 else [])):
                said[f"{study}.model"] = (quoted(best), "path model whose items the survey has")
    if (members := tables.get("campaign_member")) and "campaign" not in tables:
        _campaign(made, members)


def _said(one: Cell) -> Any:
    """What a cell's TOML holds."""
    return tomllib.loads(f"cell = {one.toml}")["cell"]


def _campaign(made: Proposal, members: Block) -> None:
    """The campaign of a list of members, as a row of its own, and what studies ask of it."""
    arms = [arm for arm in _said(members.cells["arm"])["values"].values() if arm != "control"]
    outcomes = list(_said(members.cells["outcomes"]))
    campaign = members.cells["campaign_id"]
    names = sorted(set(members.sample.texts(campaign.sources[0]))) if campaign.sources else ["campaign"]
    day = str(made.as_of - timedelta(days=1))
    for name in map(quoted, names):
        row = {"table": '"campaign"', "campaign_id": name, "name": name, "assignment": '"selected"'}
        made.rows.append(row | {"starts_on": day, "ends_on": day})
    made.parameters["campaign"] = (quoted(names[0]), "")
    made.parameters["arm"] = (quoted(arms[0] if arms else ""), f"one of {', '.join(arms)}")
    made.parameters["outcome"] = (quoted(outcomes[-1]), f"one of {', '.join(outcomes)}")


def unused(blocks: Iterable[Block]) -> list[str]:
    """Columns of the blocks' one file that none of them reads."""
    blocks = list(blocks)
    read = {source for block in blocks for one in block.cells.values() for source in one.sources}
    return [name for name in blocks[0].sample.columns if name not in read]
