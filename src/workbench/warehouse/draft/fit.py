"""Which columns of a file are those of a table? Found by names, then by values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from workbench.warehouse import schema
from workbench.warehouse.draft.linked import LINKED, holds, stem
from workbench.warehouse.draft.months import MONTH
from workbench.warehouse.draft.sample import ALL_BUT_FEW, Sample, bare
from workbench.warehouse.draft.values import Cell, added, cell, churned, inline, numbered, quoted, tenure, titled, words

EXACT, HELD, FILE = 3, 1, 4
FLAT = ("customer", "subscription", "usage_month", "bill")
MOST_ANSWERS = 11
MOST_ARMS = 12


@dataclass
class Block:
    """A `[[file]]` block: the table that a file fills, each column's cell, further keys, and how well it fits."""

    sample: Sample
    table: schema.TableSchema
    cells: dict[str, Cell]
    score: float
    keys: dict[str, str] = field(default_factory=dict)

    def lacks(self) -> bool:
        """Whether some of its files lack a column that each row needs."""
        needed = {c.name for c in self.table.columns if c.not_null}
        used = {source for name, one in self.cells.items() if name in needed for source in one.sources}
        return not used.isdisjoint(self.sample.options.get("optional", ()))


def blocks_of(sample: Sample) -> list[Block]:
    """Every table that a file could fill, with the columns found."""
    found = []
    for table in schema.tables().values():
        said, cells, score = words()["table"].get(table.name, {}), *_matched(sample, table)
        _by_concept(sample, table, cells)
        if sample.wide:
            _keyed_by_month(sample, table, cells)
        keys = _maps(sample, table, cells)
        if "customer_id" not in cells and any("customer_id" in group for group in said.get("needs", ())):
            cells |= _customer(sample, table, cells)
        name = bare(f"{sample.path.name} {sample.options.get('sheet', '')}")
        score += FILE * any(bare(word) in name for word in said.get("files", ()))
        if said and all(any(one in cells for one in group) for group in said["needs"]):
            if table.name != "survey_response" or _is_survey(sample, cells, name):
                found.append(Block(sample, table, cells, score + len(cells) / 100, keys))
    return [block for block in found if _grain_fits(block)]


def _keyed_by_month(sample: Sample, table: schema.TableSchema, cells: dict[str, Cell]) -> None:
    """Rows that were columns: a payment is of the first of its month, a key is a customer and a month."""
    of = {column.name: column for column in table.columns}
    if "paid_on" in of and (day := cell(of["paid_on"], sample, MONTH)) and "amount" in cells:
        cells["paid_on"] = replace(day, doubt="the day of payment is not given: the first of the month is taken")
    of_customer = cells.get("customer_id", Cell("")).sources
    if table.key in (("bill_id",), ("payment_id",)) and of_customer:
        name = sample.links[0].here if sample.links else of_customer[0]
        rows = list(zip(sample.columns[name], sample.columns[MONTH], strict=True))
        if not holds(sample, name, 0) and "{" not in name and len(set(rows)) > ALL_BUT_FEW * len(rows):
            cells[table.key[0]] = Cell(inline(template=quoted(f"{{{name}}}-{{{MONTH}}}")), (name, MONTH))


def _matched(sample: Sample, table: schema.TableSchema) -> tuple[dict[str, Cell], float]:
    """The columns that names and values of the file give, and how sure that is."""
    found: dict[str, Cell] = {}
    held: dict[str, list[str]] = {}
    score, used = 0.0, set[str]()
    plain = [column for column in table.columns if not column.is_map]
    for column, called in [(c, called) for called in (_called, _called_like, _called_behind) for c in plain]:
        for name in called(sample, table, column) if column.name not in found else ():
            if name in used:
                continue
            made = cell(column, sample, name)
            if made is None:
                some = ", ".join(sorted(set(sample.texts(name)))[:5])
                sample.misfits[name] = f"called like {table.name}.{column.name}, but its values ({some}) do not fit it"
            else:
                doubt = f"is {name} meant?" if called is _called_behind else ""
                found[column.name], score = replace(made, doubt=made.doubt or doubt), score + EXACT
                used.add(name)
                break
    for column in plain:
        if column.name not in found and column.type in ("integer", "double", "date", "timestamp"):
            names = {word for word in map(bare, _names(table, column.name)) if len(word) > (1 if word > "一" else 3)}
            held[column.name] = [n for n in sample.columns if n not in used and any(w in bare(n) for w in names)]
            if column.type in ("integer", "double"):
                made = added(column, sample, held[column.name])
            else:
                made = next(filter(None, (cell(column, sample, name) for name in held[column.name])), None)
            if made:
                doubt = made.doubt or f"is {', '.join(made.sources)} meant?"
                found[column.name] = replace(made, doubt=doubt)
                score, used = score + HELD, used | set(made.sources)
    return found, score


def _names(table: schema.TableSchema, column: str) -> list[str]:
    said = words()["column"]
    own = said.get(table.name)
    listed = [column, *(own.get(column, []) if isinstance(own, dict) else []), *said.get(column, [])]
    return [name for name in listed if isinstance(name, str)]


def _called(sample: Sample, table: schema.TableSchema, column: schema.Column) -> list[str]:
    """Columns that are called so, the likeliest first; a number that people have is no customer if another is there."""
    names = list(map(bare, _names(table, column.name)))
    plain = {n: bare(n) if bare(n) in names else titled(column, n) for n in sample.columns}
    found = sorted((n for n in plain if plain[n] in names), key=lambda name: names.index(plain[name]))
    if column.name == "customer_id":
        found += _called_like(sample, table, column)
        return [LINKED] if sample.links else sorted(found, key=lambda name: bool(holds(sample, name)))
    return found


def _called_like(sample: Sample, table: schema.TableSchema, column: schema.Column) -> list[str]:
    """Columns of identifiers that are called so but for the word for number: Ticket No, 工单编码."""
    if not column.is_identifier:
        return []
    names = {stem(name) for name in _names(table, column.name)} - {""}
    return [name for name in sample.columns if stem(name) in names and stem(name) != bare(name)]


def _called_behind(sample: Sample, table: schema.TableSchema, column: schema.Column) -> list[str]:
    """Columns that are called so behind words that do not change what it is: 所在省份, 月均消费, customer_gender."""
    names, words_before = set(map(bare, _names(table, column.name))), "|".join(words()["concept"]["before"])
    return [name for name in sample.columns if re.sub(f"^({words_before})+", "", titled(column, name)) in names]


def _concept(sample: Sample, concept: str) -> list[str]:
    """Columns whose names tell of something that is no column of ours."""
    listed = {bare(word) for word in words()["concept"][concept]}
    exact = [name for name in sample.columns if bare(name) in listed]
    return exact or [n for n in sample.columns if any(len(w) > 3 and w in bare(n) for w in listed)]


def _by_concept(sample: Sample, table: schema.TableSchema, cells: dict[str, Cell]) -> None:
    """First days by months of tenure, last days by who has left."""
    for column, concept, made in (
        ("joined_on", "tenure", tenure),
        ("activated_on", "tenure", tenure),
        ("ended_on", "churned", churned),
    ):
        if column in {c.name for c in table.columns} and column not in cells:
            day = "$AS_OF" if concept == "tenure" else "$LAST_DAY"
            found = next(filter(None, (made(sample, name, day) for name in _concept(sample, concept))), None)
            cells |= {column: found} if found else {}


def _maps(sample: Sample, table: schema.TableSchema, cells: dict[str, Cell]) -> dict[str, str]:
    """Columns that hold values by name: answers of a survey, outcomes and what was known before of a campaign.

    Gives the keys that the block gets for them.
    """
    used = {source for one in cells.values() for source in one.sources}
    if table.name == "survey_response":
        items = {c: next(iter(_concept(sample, c)), None) for c in ("SA1", "NPS") if c not in sample.columns}
        own = {name: code for code, name in items.items() if name and _is_answer(sample, name)}
        taken = {column.name for column in table.columns}
        free = [n for n in sample.columns if n not in used and _is_answer(sample, n)]
        answers = {own.get(n, f"{n}_answer" if n in taken else n): n for n in free}
        if answers:
            codes = sorted({t for n in answers.values() for t in set(sample.texts(n)) if float(t) > MOST_ANSWERS - 1})
            doubt = f"{', '.join(codes)} is taken for no answer" if codes else ""
            cells["items"] = _map(answers, doubt or ("are all of these answers?" if len(answers) > 2 else ""))
            return {"missing": f"[{', '.join(map(quoted, codes))}]"} if codes else {}
    if (
        table.name == "campaign_member"
        and "arm" in cells
        and len(set(sample.texts(cells["arm"].sources[0]))) <= MOST_ARMS
    ):
        called = {bare(word): name for name, said in words()["code"]["outcomes"].items() for word in (name, *said)}
        free = [n for n in sample.columns if n not in used]
        outcomes = {called[bare(n)]: n for n in free if bare(n) in called and _is_number(sample, n)}
        rest = [n for n in free if n not in outcomes.values()]
        if outcomes:
            cells |= {"outcomes": _map(outcomes), "arm": _arms(sample, cells["arm"].sources[0])}
            taken = {*outcomes, *(column.name for column in table.columns)}
            if rest:
                known = {f"{n}_before" if n in taken else n: n for n in rest}
                cells["covariates"] = _map(known, "was all of this known before the contact?")
    return {}


def _arms(sample: Sample, source: str) -> Cell:
    """The arms by their texts; the one without contact is called control."""
    texts = sorted(set(sample.texts(source)))
    control = [t for t in texts if bare(t) in {bare(word) for word in (*words()["concept"]["control"], "0")}][:1]
    arms = {quoted(text): quoted("control" if text in control else text) for text in texts}
    doubt = "" if control else 'which of them had no contact? Write "control" behind it'
    return Cell(inline(from_=quoted(source), values=inline(**arms)), (source,), doubt)


def _map(entries: dict[str, str], doubt: str = "") -> Cell:
    if all(name == source for name, source in entries.items()):
        said = f"[{', '.join(map(quoted, entries))}]"
    else:
        said = inline(**{quoted(name): quoted(source) for name, source in entries.items()})
    return Cell(said, tuple(entries.values()), doubt)


def _is_number(sample: Sample, name: str) -> bool:
    column = schema.Column(name="n", type="double", meaning="")
    found = numbered(column, name, sample.texts(name)[:1000])
    return found is not None and found.toml == quoted(name)


def _is_answer(sample: Sample, name: str) -> bool:
    """Whether a column holds answers on a scale of at most eleven points."""
    texts = set(sample.texts(name))
    whole = all(re.fullmatch(r"\d{1,2}(\.0+)?", text) for text in texts)
    return (
        whole and 3 <= len(texts) <= MOST_ANSWERS + 2 and all(float(t) < MOST_ANSWERS or float(t) > 90 for t in texts)
    )


def _is_survey(sample: Sample, cells: dict[str, Cell], name: str) -> bool:
    told = any(word in name for word in map(bare, words()["table"]["survey_response"]["files"]))
    asked = any(source in (*_concept(sample, "SA1"), *_concept(sample, "NPS")) for source in cells["items"].sources)
    return told or asked or len(cells["items"].sources) > 0.6 * len(sample.columns)


def _customer(sample: Sample, table: schema.TableSchema, cells: dict[str, Cell]) -> dict[str, Cell]:
    """Whoever a row is of where no name says it: another identifier, or in a flat table the row itself."""
    used = {source for one in cells.values() for source in one.sources}
    others = [n for n in sample.columns if n not in used and bare(n).endswith(("id", "编号", "号码", "标识"))]
    if others:
        doubt = f"does {' or '.join(others)} tell customers apart?"
        return {"customer_id": Cell(quoted(others[0]), (others[0],), doubt)}
    if table.name in FLAT and _concept(sample, "tenure") and not any(c.last for c in cells.values()):
        return {"customer_id": Cell("{ row_number = true }", (), "the file has no identifier")}
    return {}


def _grain_fits(block: Block) -> bool:
    """Whether the rows of the file are those of the table."""
    single = once(block)
    if block.table.name == "customer" and not single:
        block.keys = {"keep": '"last"'}
        return "month" not in block.sample.columns or "joined_on" in block.cells
    if block.table.name == "subscription":
        return single or "subscription_id" in block.cells
    if block.table.name in ("bill", "usage_month") and "month" not in block.cells:
        return single
    return True


def once(block: Block) -> bool:
    of = block.cells.get("customer_id", Cell("")).sources
    return not of or block.sample.is_key(of[0])
