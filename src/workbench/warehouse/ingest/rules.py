"""Is this record what the schema says? The mapping and the rules of a table as one SQL statement.

A record passes three layers: texts (missing values out, pseudonyms in), typed values, and rules. Reasons
are made only for records that break one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

import pyarrow as pa

from workbench.refused import NO_LOSS
from workbench.warehouse import clear
from workbench.warehouse.ingest.blocks import PLACEHOLDER, FileBlock, Origin
from workbench.warehouse.ingest.casts import as_number, cast, cast_natural, present
from workbench.warehouse.rulebook import REFUSE, WARN, Lookup, Rulebook, bound, said
from workbench.warehouse.schema import Column, TableSchema
from workbench.warehouse.sql import literal, quoted

NUMERIC_FORM = r"[-+]?\d+(\.\d+)?[eE][-+]?\d+|\d{5,}\.0+"
TOTAL, REPLACED, LEFT_OUT, AGAIN, UNITED, _ = NO_LOSS
SET_ASIDE = NO_LOSS[:-1]
TOTALS = ("合计", "总计", "小计", "Total", "Grand total")
NO_ORDER = "NULL::VARCHAR"


@dataclass(frozen=True)
class Rule:
    """A condition in SQL that is true where the rule is broken, and how it is said.

    `parent` is the table in which a value of `column` should stand. What only explains does not make a row bad. `over`
    says the same of a row of the table (`"#row"`) where the rule reads other tables, or `as_of`: what they hold may
    change, and a row that was read before is judged by it anew. `name` is that of `workbench.warehouse.rulebook`,
    where it has one.
    """

    broken: str
    reason: str
    column: str = ""
    parent: str = ""
    explains: bool = False
    over: str = ""
    name: str = ""


@dataclass
class Check:
    """The layers of SQL by which a file's texts become rows of a table, and the rules that they must keep.

    Attributes
    ----------
    table : TableSchema
    texts, translated, typed : list of str
        Expressions with their names, layer by layer.
    rules : list of Rule
    columns : list of str
        Expression of each column of the table, in its order.
    unchecked : list of str
        Relationships to tables that the mapping does not fill.
    order : str
        Expression by which the last of several rows with one key is found.
    free, numbers : dict
        Columns of the file in whose texts numbers are masked (as `#text:…`), or that must not be clear numbers (what
        they are stands in `#clear:…`).
    lookups : list of Lookup
        What a row is compared with, which stands in the relations `lookup_relation` names.
    crossed : list of str
        Conditions over the row (`"#row"`) and the lookups, with their names.
    united : bool
        Whether customers were united: what other tables say is compared with the customer that the row's became.
    """

    table: TableSchema
    texts: list[str] = field(default_factory=list)
    translated: list[str] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    order: str = NO_ORDER
    free: dict[str, None] = field(default_factory=dict)
    numbers: dict[str, None] = field(default_factory=dict)
    lookups: list[Lookup] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    united: bool = False

    def select(self, relation: str) -> str:
        """The query that gives each record's line, typed columns, order among its key and whether it is `bad`."""
        broken = [f"({rule.broken})" for rule in self.rules if not rule.explains]
        return (
            f'SELECT "#line", {", ".join(self.columns)}, {self.order} AS "#order", '
            f"CASE WHEN {' OR '.join(broken) or 'false'} THEN true ELSE false END "  # cheaper than a coalesce of each
            f'AS "#bad" FROM ({self._layers(relation)})'
        )

    def follows(self) -> str:
        """The condition that a record is refused for nothing but parents that were refused themselves."""
        orphans = [rule for rule in self.rules if rule.parent]
        if not orphans:
            return "false"
        known = ", ".join(literal(rule.reason) for rule in orphans)
        stands = " OR ".join(f"{rule.column} IN (SELECT key FROM {refused_keys(rule.parent)})" for rule in orphans)
        return f"(list_has_all([{known}], reasons) AND coalesce({stands}, false))"

    def aside(self, relation: str, record: str) -> str:
        """The query that gives what is kept of each record that is refused: what it would be in the table, and why.

        `slots` has the reasons in the order of the rules, and `#0`, `#1` … in the place of a rule that reads other
        tables; `#bad` is whether the other rules refuse it.
        """
        slots, bad, number = [], ["false"], 0
        for rule in self.rules:
            if rule.over:
                slots.append(literal(f"#{number}"))
                number += 1
            else:
                slots.append(f"CASE WHEN {rule.broken} THEN {literal(rule.reason)} END")
                bad += [] if rule.explains else [f"coalesce({rule.broken}, false)"]
        return (
            f'SELECT "#line", {self.order} AS "#order", {", ".join(self.columns)}, list_filter([{", ".join(slots)}]'
            f'::VARCHAR[], lambda s: s IS NOT NULL) AS slots, ({" OR ".join(bad)}) AS "#bad", {record} AS record, '
            f"{key_text(self.table)} AS key FROM ({self._layers(relation)})"
        )

    def judged(self, relation: str) -> str:
        """The query that adds to what `aside` gives the `reasons`, as other tables stand now, and if it is `out`."""
        rules = self._over()
        broken = _also(f'coalesce({rule.over}, false) AS "o:{i}"' for i, rule in enumerate(rules))
        cases = " ".join(
            f"WHEN '#{i}' THEN CASE WHEN \"o:{i}\" THEN {literal(r.reason)} END" for i, r in enumerate(rules)
        )
        slots = f"list_transform(slots, lambda s: CASE s {cases} ELSE s END)" if rules else "slots"
        out = " OR ".join(['"#bad"', *(f'"o:{i}"' for i in range(len(rules)))])
        return (
            f"SELECT *, list_filter({slots}, lambda s: s IS NOT NULL) AS reasons, ({out}) AS out "
            f'FROM (SELECT "#row".*{broken} FROM {self._rows(relation)} AS "#row" {self._joins()})'
        )

    def refused(self, relation: str) -> str:
        """The query that counts the rows of the table that other tables refuse, as they stand now."""
        broken = " OR ".join(f"coalesce({rule.over}, false)" for rule in self._over())
        return f'SELECT count(*) FROM {self._rows(relation)} AS "#row" {self._joins()} WHERE {broken or "false"}'

    def parents(self, filled: dict[str, str]) -> list[str]:
        """The queries that give the values that columns of the table may have, for other tables have them."""
        found = []
        for rule in self.rules:
            if rule.over and rule.parent and (of := self.table.column(rule.column).relationships):
                found.append(f"SELECT {of[1]} FROM {filled[rule.parent]}")
        return found

    def _rows(self, relation: str) -> str:
        return following(relation, self.table) if self.united else relation

    def _over(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.over]

    def _joins(self) -> str:
        return " ".join(lookup.join(lookup_relation(lookup), '"#row"') for lookup in self.lookups)

    def _layers(self, relation: str) -> str:
        texts = f"SELECT *{_also(self.texts)} FROM {relation}"
        translated = f"SELECT *{_also(self.translated)} FROM ({texts})"
        typed = f"SELECT *{_also(self.typed)} FROM ({translated})"
        if not self.crossed:
            return typed
        named = {c.rpartition(" AS ")[2]: c.rpartition(" AS ")[0] for c in self.columns}
        ones = ""
        if self.united and "customer_id" in named:
            ones = f'LEFT JOIN united "#one" ON "#one".customer_id = {named["customer_id"]}'
            named["customer_id"] = f'coalesce("#one".united_into, {named["customer_id"]})'
        cells = ", ".join(f"{literal(name)}: {cell}" for name, cell in named.items())
        row = f'SELECT typed.*, {{{cells}}} AS "#row" FROM ({typed}) typed {ones}'
        return f"SELECT r.*{_also(self.crossed)} FROM ({row}) r {self._joins()}"


def following(relation: str, table: TableSchema) -> str:
    """The rows of a relation, each with the customer that its own became when some were united."""
    if all(column.name != "customer_id" for column in table.columns):
        return relation
    return (
        f'(SELECT r.* REPLACE (coalesce("#one".united_into, r.customer_id) AS customer_id) FROM {relation} r '
        'LEFT JOIN united "#one" ON "#one".customer_id = r.customer_id)'
    )


def lookup_relation(lookup: Lookup) -> str:
    """Name the relation that holds a lookup while a version is built."""
    return quoted(f"lookup {lookup.name}")


def _also(expressions: Iterable[str]) -> str:
    return "".join(f", {expression}" for expression in expressions)


def build(
    block: FileBlock,
    prefix: str,
    filled: dict[str, str],
    book: Rulebook,
    as_of: date,
    typed: frozenset[str] = frozenset(),
) -> Check:
    """Translate a block of the mapping into SQL.

    Parameters
    ----------
    block : FileBlock
    prefix : str
        What stands before the number of a record that serves as identifier.
    filled : dict
        Where each table that the mapping fills stands, for relationships.
    book : Rulebook
        What follows where a rule is broken.
    as_of : date
        The day before which all is known.
    typed : frozenset of str
        Columns of the file that are no texts, see `FileBlock.natural`.
    """
    check = Check(block.table, order=quoted(block.order) if block.order is not None else NO_ORDER)
    builder = _Builder(check, block, prefix, filled, typed, book)
    check.columns = [builder.column(column) for column in block.table.columns]
    builder.totals()
    row, lookups = '"#row"', dict[str, Lookup]()
    for rule in book.of(block.table.name, REFUSE):
        if rule.reads() <= set(filled):
            sql, name = f"({rule.sql(row, as_of)})", quoted(f"#{rule.name}")
            check.crossed.append(f"{sql} AS {name}")
            lookups |= {lookup.name: lookup for lookup in rule.lookups}
            over = sql if rule.lookups or "$as_of" in rule.broken else ""
            check.rules.append(Rule(name, rule.reason, over=over, name=rule.name))
    check.lookups = list(lookups.values())
    return check


@dataclass(frozen=True)
class _Builder:
    """Fills the layers of a Check, column by column."""

    check: Check
    block: FileBlock
    prefix: str
    filled: dict[str, str]
    natural: frozenset[str]
    book: Rulebook

    def column(self, column: Column) -> str:
        """Add a column of the table to all layers, and give the expression that ends as its value."""
        origin = self.block.columns.get(column.name)
        if origin is None:
            return f"NULL::{column.sql_type} AS {column.name}"
        if isinstance(origin, Origin):
            self._value(origin, column, column.name)
            return f'"v:{column.name}" AS {column.name}'
        names = [f"{column.name}.{name}" for name in origin]
        for name, value in zip(names, origin.values(), strict=True):
            self._value(value, column, name)
        entries = ", ".join(
            f"{{'key': {literal(entry)}, 'value': {quoted('v:' + name)}}}"
            for entry, name in zip(origin, names, strict=True)
        )
        if column.not_null:
            nothing = " AND ".join(f"{quoted('t:' + name)} IS NULL" for name in names)
            self._rule(column, "not_null", Rule(nothing, f"{column.name} has no entry"))
        return f"map_from_entries(list_filter([{entries}], lambda e: e.value IS NOT NULL)) AS {column.name}"

    def totals(self) -> None:
        """Tell a line of totals from a record: where the mapping names it, or where it could not be one anyway."""
        told = ", ".join(literal(text) for text in self.block.totals or TOTALS)
        cells = [f"{quoted(source)} IN ({told})" for source in self.block.sources() if source not in self.natural]
        if cells:
            self.check.rules.append(Rule(" OR ".join(cells), TOTAL, explains=not self.block.totals))

    def _value(self, value: Origin, column: Column, name: str) -> None:
        t, u, v = (quoted(f"{layer}:{name}") for layer in "tuv")
        free = column.is_free_text and not value.pseudonym
        self.check.free.update(dict.fromkeys(value.sources() if free else ()))
        self.check.texts.append(f"{self._text(value, name, masked=free)} AS {t}")
        if value.values:
            cases = " ".join(f"WHEN {literal(k)} THEN {literal(w)}" for k, w in value.values.items())
            self.check.translated.append(f"CASE {t} {cases} END AS {u}")
            unknown = f"{t} IS NOT NULL AND {u} IS NULL"
            self.check.rules.append(Rule(unknown, f"{name} has a text not listed under values"))
        else:
            self.check.translated.append(f"{t} AS {u}")
        typed = cast_natural if value.column in self.natural else cast
        self.check.typed.append(f"{typed(u, column, value)} AS {v}")
        if column.type not in ("text", "texts"):
            kind = {"numbers": "double"}.get(column.type, column.type)
            self.check.rules.append(Rule(f"{u} IS NOT NULL AND {v} IS NULL", f"{name} is not a {_KINDS[kind]}"))
        if column.is_identifier and value.column is not None:
            r = quoted(value.column)
            numeric = (
                f"{r} < ':' AND (contains({r}, '.') OR contains({r}, '+')) AND regexp_full_match({r}, '{NUMERIC_FORM}')"
            )
            self.check.rules.append(Rule(numeric, f"{name} was written as a number and may have lost digits"))
        self._clear_numbers(value, column, name)
        if column.not_null and not column.is_map:
            self._rule(column, "not_null", Rule(f"{t} IS NULL", f"{name} is missing"))
        self._limits(column, name, v, set((value.values or {}).values()))

    def _clear_numbers(self, value: Origin, column: Column, name: str) -> None:
        """Refuse clear numbers of telephones and cards as identifiers; what must stand in a parent is refused there."""
        if value.column is None or value.pseudonym or not column.is_identifier:
            return
        is_key = column.name.endswith("_key")
        if (value.pseudonym is False and not is_key) or (
            column.relationships and column.relationships[0] in self.filled
        ):
            return
        self.check.numbers[value.column] = None
        other = "" if is_key else ", or pseudonym = false if it is none"
        for kind, what in (("phone", "a telephone number"), ("card", "the number of an identity card")):
            why = f'{name} is {what}: map it with pseudonym = "{kind}" wherever it stands{other}'
            self.check.rules.append(Rule(f"{quoted(f'#clear:{value.column}')} = '{kind}'", why))

    def _rule(self, column: Column, kind: str, rule: Rule) -> None:
        """Add a rule of the schema, unless the mapping lets its rows stand."""
        name = f"{self.block.table.name}.{column.name}.{kind}"
        if self.book.severity(name, REFUSE) != WARN:
            self.check.rules.append(replace(rule, name=name))

    def _limits(self, column: Column, name: str, v: str, told: set[str]) -> None:
        """Hold a value to what the column may have; `told` is what a code list makes of its texts, if there is one."""
        if column.accepted_values and not (told and told <= set(column.accepted_values)):
            accepted = ", ".join(literal(text) for text in column.accepted_values)
            listed = ", ".join(column.accepted_values)
            self._rule(column, "accepted_values", Rule(f"{v} NOT IN ({accepted})", f"{name} is not one of {listed}"))
        if column.in_range:
            low, high = column.in_range
            why = f"{name} is not between {said(low)} and {said(high)}"
            self._rule(column, "in_range", Rule(f"NOT {v} BETWEEN {bound(low)} AND {bound(high)}", why))
        if column.relationships:
            parent, key = column.relationships
            if parent in self.filled:
                inside = f"NOT IN (SELECT {key} FROM {self.filled[parent]})"
                why, over = f"{name} does not stand in {parent}", f'"#row".{column.name} {inside}'
                self._rule(column, "relationships", Rule(f"{v} {inside}", why, column.name, parent, over=over))
            else:
                self.check.unchecked.append(f"{self.block.table.name}.{name} -> {parent}.{key}")

    def _text(self, value: Origin, name: str, *, masked: bool) -> str:
        of = "#text:" if masked else ""
        if value.constant is not None:
            return literal(value.constant)
        if value.row_number:
            return f'{literal(self.prefix)} || CAST("#record" AS VARCHAR)'
        if value.pseudonym:
            return quoted(f"#key:{name}")
        if value.column in self.natural:
            return quoted(value.column)
        if value.column is not None:
            return present(of + value.column, value.missing)
        if value.sum:
            texts = [present(source, value.missing) for source in value.sum]
            parts = [f"TRY_CAST({as_number(text)} AS DECIMAL(28, 6))" for text in texts]
            wrong = " OR ".join(f"({t} IS NOT NULL AND {p} IS NULL)" for t, p in zip(texts, parts, strict=True))
            return f"CASE WHEN {wrong} THEN 'no number' ELSE CAST({' + '.join(parts)} AS VARCHAR) END"
        assert value.template is not None, "a value has exactly one origin"
        parts, position = [], 0
        for match in PLACEHOLDER.finditer(value.template):
            parts += [literal(value.template[position : match.start()]), present(of + match[1], value.missing)]
            position = match.end()
        return " || ".join([*parts, literal(value.template[position:])])


_KINDS = {
    "integer": "whole number",
    "double": "number",
    "boolean": "true, false, 1 or 0",
    "date": "date",
    "timestamp": "date and time",
}


def refused_keys(table: str) -> str:
    """Name the relation of the keys (one column) that were refused for a table."""
    return quoted(f"refused {table}")


def record_json(block: FileBlock, shown: Iterable[str] = ()) -> str:
    """The SQL text of a record as JSON: the columns that the mapping uses, pseudonyms instead of clear text.

    Of the columns `shown`, `#shown:…` has what may be seen.
    """
    hidden = {v.column: f"#key:{name}" for name, v in block.columns.items() if isinstance(v, Origin) and v.pseudonym}
    cells = {s: hidden.get(s, f"#shown:{s}" if s in shown else s) for s in block.sources()}
    fields = ", ".join(f"{literal(s)}: {quoted(cell)}" for s, cell in cells.items())
    return f"CAST(to_json({{{fields}}}) AS VARCHAR)" if fields else "'{}'"


def with_record(rows: pa.Table, block: FileBlock) -> tuple[pa.Table, str]:
    """Records with what of them may be shown, and the SQL text that writes each as it stands in quarantine."""
    hidden = {value.column for value in block.values() if value.pseudonym}
    shown = [name for name in block.sources() if name not in hidden]
    return clear.shown(rows, shown), record_json(block, shown)


def key_text(table: TableSchema, of: str = "") -> str:
    """The SQL text of a list that tells rows of a table apart; `of` stands before each column."""
    return f"[{', '.join(f'CAST({of}{name} AS VARCHAR)' for name in table.key)}]::VARCHAR[]"


def repeated(relation: str, table: TableSchema, *, last: bool) -> str:
    """The query for the rows of a table in a relation whose key stands in an earlier row (by file, then line).

    Where the last row of a key is kept: in a later one, by the order that the mapping names, then by file and line.
    """
    order = '"#file", "#line"'
    if last:
        order = 'TRY_CAST("#order" AS DOUBLE) DESC NULLS LAST, "#order" DESC NULLS LAST, "#file" DESC, "#line" DESC'
    key = ", ".join(table.key)
    same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM d.{name}" for name in table.key)
    several = f"SELECT {key} FROM {relation} GROUP BY {key} HAVING count(*) > 1"
    place = f"PARTITION BY {', '.join(f't.{name}' for name in table.key)} ORDER BY {order}"
    return (
        f'SELECT "#file", "#line", key FROM (SELECT "#file", "#line", {key_text(table, "t.")} AS key, '
        f"row_number() OVER ({place}) AS n FROM {relation} t SEMI JOIN ({several}) d ON {same}) WHERE n > 1"
    )
