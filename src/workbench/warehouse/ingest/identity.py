"""Which customers of several systems are one? Declared rules over pseudonyms unite them, or ask somebody.

The rules of a mapping (`[[identity]]`) are taken one after another. What would join more ids than a rule allows, two
ids of one system, or customers who differ in what they must share, is united by none: it goes to the list for review
(`identity_review`). What was united, and by which rule, stands in `customer_identity`. All is a function of the rows
of `customer` and the decisions of the operator, whatever their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import duckdb
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.errors import WorkbenchError
from workbench.messages import Message, exact, say
from workbench.warehouse import schema
from workbench.warehouse.identities import case_names, named_by
from workbench.warehouse.ingest.decided import DIFFERENT, SAME, Decided
from workbench.warehouse.ingest.identity_rules import (
    DECISION,
    GROUP,
    HOUSEHOLD,
    LISTED,
    MERGE,
    MUST_AGREE,
    REVIEW,
    IdentityRule,
)
from workbench.warehouse.ingest.rules import key_text
from workbench.warehouse.ingest.warned import Watch
from workbench.warehouse.sql import literal

Files = Mapping[int, tuple[str, str]]
SHOWN = (*MUST_AGREE, "province", "city", "phone_key", "address_key", "payer_key")
ASKED = "the rule asks for a decision"
SHARED = "more customers share the value than the rule allows"
CHAIN = "matches in a chain would join more customers than the rule allows"
TWO = "it would be two customers of one system"
DIFFER = "they differ in what one customer has once"
CARDS = "one of them has had two cards"
SAID = "two of them were said to be different"


def unite(
    con: duckdb.DuckDBPyConnection, watch: Watch, rules: tuple[IdentityRule, ...], decided: Decided, files: Files
) -> list[Message]:
    """Let customers be one, as rules and decisions say, and write down who was, and who may be.

    Reads the rows as they came (`staged`) and the table `customer`; leaves the latter with one row a customer, the
    temporary tables `united` (customer_id, united_into) and `known_customer`, and in `repeats` the rows that went.

    Parameters
    ----------
    con : DuckDBPyConnection
    watch : Watch
        Is told how many.
    rules : tuple of IdentityRule
    decided : Decided
    files : mapping of int to (str, str)
        By number of the file the path of its `[[file]]` block, which is the system of its rows, and its name.

    Returns
    -------
    list of Message
        What the account notes.
    """
    found = _Identity(con, files)
    missing = found.decide(decided)
    for rule in rules:
        if rule.action in (MERGE, REVIEW):
            found.apply(rule)
    found.collapse()
    for rule in rules:
        if rule.action in (HOUSEHOLD, GROUP):
            found.parents(rule)
    waiting = found.write()
    of = len(found.at)
    for name, rows, said in (
        ("customer.united", int((found.at != np.arange(of)).sum()), "customers of several systems were united"),
        ("customer.may_be_one", waiting, "customers may be one with another and await review"),
        ("customer.shared_key", found.shared, "more customers share a value than an identity rule allows"),
    ):
        if rows:
            watch.warn("customer", name, rows, of, said)
    if not missing:
        return []
    return [say("customers whom decisions on identity name, but nobody delivered: {n}", n=exact(missing))]


@dataclass
class _Identity:
    """Customers by number, in the order in which they give their id to those they are united with; `at` is whose."""

    con: duckdb.DuckDBPyConnection
    files: Files
    at: np.ndarray = field(init=False)
    by: dict[int, list[str]] = field(default_factory=dict)
    cases: list[pd.DataFrame] = field(default_factory=list)
    different: np.ndarray = field(default_factory=lambda: np.empty((0, 2), int))
    shared: int = 0

    def __post_init__(self) -> None:
        self.order = list(dict.fromkeys(path for path, _ in self.files.values()))
        rows = [(number, self.order.index(path), path, name) for number, (path, name) in self.files.items()]
        self.con.register("places", pd.DataFrame(rows, columns=["#file", "rank", "system", "file"]))
        self.con.execute(
            """CREATE TEMP TABLE delivered AS SELECT customer_id, card_key, "#file", rank, system, file
            FROM staged JOIN places USING ("#file")"""
        )
        self.con.unregister("places")
        self.con.execute(
            """CREATE TEMP TABLE person AS SELECT CAST(row_number() OVER (ORDER BY s.rank, length(customer_id),
            customer_id) - 1 AS BIGINT) AS n, s.* EXCLUDE (customer_id), c.* FROM customer c JOIN (SELECT customer_id,
            min(rank) AS rank, count(DISTINCT card_key) AS cards FROM delivered GROUP BY customer_id) s
            USING (customer_id)"""
        )
        self.known = self.con.sql("SELECT n, cards, customer_id FROM person ORDER BY n").df()
        for column in MUST_AGREE:
            codes = pd.factorize(self.con.sql(f"SELECT {column} FROM person ORDER BY n").df()[column])[0]
            self.known[column] = np.where(codes < 0, np.nan, codes)
        systems = self.con.sql("SELECT DISTINCT n, d.rank AS system FROM delivered d JOIN person USING (customer_id)")
        self.systems = systems.df()
        self.at = np.arange(len(self.known))

    def decide(self, decided: Decided) -> int:
        """Take the operator's decisions; give how many customers they name that nobody delivered."""
        number = pd.Series(self.known.index, index=self.known["customer_id"])
        rows = decided.rows.assign(n=decided.rows["customer_id"].map(number))
        missing, rows = int(rows["n"].isna().sum()), rows.dropna(subset="n").astype({"n": int})
        same, apart = set[tuple[int, int]](), set[tuple[int, int]]()
        for _, case in rows.groupby(["file", "case_id"], sort=True):
            same |= set(combinations(sorted(case.loc[case["decision"] == SAME, "n"]), 2))
            for a in case.loc[case["decision"] == DIFFERENT, "n"]:
                apart |= {(min(a, b), max(a, b)) for b in case["n"] if b != a}
        members, comp = self._joined(np.array(sorted(same), int).reshape(-1, 2))
        for (_, system), ones in self._systems(members, comp).groupby(["comp", "system"])["n"]:
            if strange := [pair for pair in combinations(sorted(ones), 2) if pair not in same]:
                where = _places(rows[comp[rows["n"]] == comp[strange[0][0]]])
                raise WorkbenchError(
                    "{where} say, one after another, that one customer is two of {system}. Decide about all of "
                    "them in one case, or take one of the decisions out."
                ).of(where, self.order[system])
        for a, b in apart:
            if comp[a] == comp[b] >= 0:
                raise WorkbenchError(
                    "{where} say, in a circle, that two customers are the same and that they are different. Take "
                    "one of the decisions out."
                ).of(_places(rows[comp[rows["n"]] == comp[a]]))
        self.different = np.array(sorted(apart), int).reshape(-1, 2)
        self._move(members, comp, DECISION)
        return missing

    def apply(self, rule: IdentityRule) -> None:
        """Unite whom a rule makes one, or list them for review."""
        pairs = self.at[np.concatenate([np.empty((0, 2), int), *(self._pairs(rule, columns) for columns in rule.sets)])]
        pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
        apart = np.sort(self.at[self.different], axis=1)
        code = len(self.at)
        pairs = pairs[~np.isin(pairs[:, 0] * code + pairs[:, 1], apart[:, 0] * code + apart[:, 1])]
        members, comp = self._joined(pairs)
        frame = self.known.loc[members].assign(comp=comp[members], cluster=self.at[members])
        by = frame.groupby("comp")
        why = pd.Series(ASKED if rule.action == REVIEW else None, index=by.size().index, dtype=object)
        if any("card_key" in columns for columns in rule.sets):
            why[by["cards"].max() > 1] = CARDS
        for column in rule.agree():
            why[by[column].agg("nunique") > 1] = DIFFER
        if not rule.duplicates:
            systems = self._systems(members, comp)
            crowded = systems.groupby(["comp", "system"])["cluster"].nunique().groupby("comp").max() > 1
            why[crowded.index[crowded]] = TWO
        why[by.size() > rule.most] = CHAIN
        said = comp[self.different]
        why[np.unique(said[(said[:, 0] == said[:, 1]) & (said[:, 0] >= 0), 0])] = SAID
        asked = frame["comp"].map(why)
        self._list(frame[asked.notna()], rule, asked[asked.notna()])
        self._move(members[asked.isna().to_numpy()], comp, rule.name)

    def _pairs(self, rule: IdentityRule, columns: tuple[str, ...]) -> np.ndarray:
        """Pairs of customers of whom a rule speaks who agree in some columns; a value that many share makes none."""
        self._shared(rule, columns, "person")
        other, key = "" if rule.duplicates else "AND a.rank <> b.rank", ", ".join(columns)
        if rule.action == REVIEW:
            other += "".join(f" AND NOT coalesce(a.{c} <> b.{c}, false)" for c in rule.agree())
        found = self.con.execute(
            f"SELECT a.n AS a, b.n AS b FROM shared JOIN person a USING ({key}) JOIN person b USING ({key}) "
            f"WHERE a.n < b.n {other}"
        ).fetchnumpy()
        return np.column_stack([found["a"], found["b"]]).astype(int)

    def _shared(self, rule: IdentityRule, columns: tuple[str, ...], relation: str) -> None:
        """Find the values that several customers share, and list those that more do than the rule allows."""
        key, there = ", ".join(columns), " AND ".join(f"{c} IS NOT NULL" for c in columns)
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE shared AS SELECT {key}, count(*) AS customers FROM {relation} WHERE {there} "
            "GROUP BY ALL HAVING count(*) > 1"
        )
        crowds = self.con.sql(f"SELECT {key}, customers FROM shared WHERE customers > {rule.most}").df()
        if len(crowds):
            self.con.execute(f"DELETE FROM shared WHERE customers > {rule.most}")
            self.shared += int(crowds["customers"].sum())
            texts = crowds[list(columns)].astype(str).agg("\n".join, axis=1)
            self.cases.append(
                crowds.assign(case_id=[named_by(f"{rule.name}\n{t}") for t in texts], rule=rule.name, why=SHARED)
            )

    def _list(self, frame: pd.DataFrame, rule: IdentityRule, why: pd.Series) -> None:
        """Put chains of customers on the list for review; of long ones their number alone."""
        size = frame.groupby("comp")["n"].transform("size")
        frame = frame.assign(case_id=case_names(frame, "comp"), rule=rule.name, why=why, customers=size)
        many = frame[size > LISTED].drop_duplicates("comp").assign(n=None)
        self.cases += [part[["case_id", "rule", "why", "customers", "n"]] for part in (frame[size <= LISTED], many)]

    def _joined(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whom some pairs join, and for each customer the number of the chain; -1 for who is in none."""
        nodes, ends = np.unique(pairs, return_inverse=True)
        ends = ends.reshape(-1, 2)
        graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(nodes),) * 2)
        label = np.full(len(self.at), -1)
        if len(nodes):
            label[nodes] = connected_components(graph, directed=False)[1]
        comp = label[self.at]
        return np.flatnonzero(comp >= 0), comp

    def _systems(self, members: np.ndarray, comp: np.ndarray) -> pd.DataFrame:
        systems = self.systems[self.systems["n"].isin(members)]
        return systems.assign(comp=comp[systems["n"]], cluster=self.at[systems["n"]])

    def _move(self, members: np.ndarray, comp: np.ndarray, rule: str) -> None:
        """Let each chain be one customer: the first of them."""
        first = pd.Series(self.at[members]).groupby(comp[members]).transform("min").to_numpy(dtype=int)
        for n in members[self.at[members] != first]:
            self.by.setdefault(int(n), []).append(rule)
        self.at[members] = first

    def collapse(self) -> None:
        """Let the table have one row a customer, and name the rows that went."""
        ids, moved = self.known["customer_id"].to_numpy(), np.flatnonzero(self.at != np.arange(len(self.at)))
        rules = ["; ".join(self.by[int(n)]) for n in moved]
        one = pd.DataFrame({"customer_id": ids[moved], "united_into": ids[self.at[moved]], "rule": rules}, dtype=str)
        self.con.register("one", one)
        names = [column.name for column in schema.table("customer").columns]
        self.con.execute(
            f"""CREATE TEMP TABLE united AS SELECT customer_id, united_into FROM one;
            CREATE TABLE customer_identity AS SELECT one.*, system, file FROM one JOIN (SELECT customer_id,
            arg_min(system, "#file") AS system, arg_min(file, "#file") AS file FROM delivered GROUP BY customer_id)
            USING (customer_id);
            CREATE TEMP TABLE known_customer AS SELECT customer_id FROM customer;
            CREATE TEMP TABLE whole AS SELECT {", ".join(map(_of_all, names))} FROM (SELECT p.*,
            coalesce(u.united_into, p.customer_id) AS one FROM person p LEFT JOIN united u USING (customer_id))
            GROUP BY one HAVING count(*) > 1;
            DELETE FROM customer WHERE customer_id IN (SELECT unnest([customer_id, united_into]) FROM united);
            INSERT INTO customer SELECT {", ".join(names)} FROM whole;
            UPDATE customer SET household_id = united_into FROM united u WHERE household_id = u.customer_id;
            UPDATE customer SET group_id = united_into FROM united u WHERE group_id = u.customer_id;
            CREATE TEMP TABLE went AS SELECT "#file", "#line", {key_text(schema.table("customer"))} AS key FROM staged
            SEMI JOIN united USING (customer_id) ANTI JOIN repeats USING ("#file", "#line");
            CREATE OR REPLACE TEMP TABLE repeats AS FROM went"""
        )
        self.con.unregister("one")

    def parents(self, rule: IdentityRule) -> None:
        """Fill the household or group where the mapping leaves it missing: those who share a value have one."""
        parent = f"{rule.action}_id"
        whom = f"{parent} IS NULL" + (" AND kind = 'person'" if rule.action == HOUSEHOLD else "")
        for columns in rule.sets:
            self._shared(rule, columns, f"(FROM customer WHERE {whom})")
            same = " AND ".join(f"customer.{c} = shared.{c}" for c in columns)
            text = ", ".join(f"CAST(shared.{c} AS VARCHAR)" for c in columns)
            number = f"left(md5(concat_ws('|', {literal(rule.action)}, {text})), 20)"
            self.con.execute(f"UPDATE customer SET {parent} = {number} FROM shared WHERE {whom} AND {same}")

    def write(self) -> int:
        """Write the list for review: what no later rule has united; give how many customers are on it."""
        columns = ["case_id", "rule", "why", "customers", "n"]
        found = pd.concat([pd.DataFrame(columns=columns), *self.cases], ignore_index=True)
        found = found.reindex(columns=[*columns, *SHOWN]).drop_duplicates(["case_id", "n"])
        found = found.assign(n=pd.to_numeric(found["n"]).astype(float), customers=found["customers"].astype(float))
        whose = pd.Series(self.at, dtype=float).reindex(found["n"]).to_numpy()
        found = found[found.assign(at=whose).groupby("case_id")["at"].transform("nunique") != 1]
        self.con.register("found", found)
        types = {c.name: c.sql_type for c in schema.table("customer").columns}
        parts = [f"CAST(f.{c} AS VARCHAR) AS {c}" for c in columns[:3]]
        parts += ["CAST(f.customers AS BIGINT) AS customers", "p.customer_id"]
        parts += [f"coalesce(p.{c}, CAST(f.{c} AS {types[c]})) AS {c}" for c in SHOWN]
        sql = f"SELECT {', '.join(parts)} FROM found f LEFT JOIN person p ON p.n = CAST(f.n AS BIGINT)"
        self.con.execute(f"CREATE TABLE identity_review AS {sql}")
        self.con.unregister("found")
        return int(found["n"].nunique())


def circles(con: duckdb.DuckDBPyConnection, watch: Watch) -> None:
    """Warn of groups that belong to themselves, over others."""
    if not con.execute("SELECT 1 FROM customer WHERE group_id IS NOT NULL LIMIT 1").fetchall():
        return
    known = con.sql("SELECT customer_id, group_id FROM customer ORDER BY customer_id").df()
    at = pd.Series(known.index, index=known["customer_id"])
    up = known["group_id"].mask(known["group_id"] == known["customer_id"]).map(at).fillna(len(known)).to_numpy(int)
    up = np.append(up, len(known))
    for _ in range(len(up).bit_length()):
        up = up[up]
    if rows := int((up < len(known)).sum()):
        watch.warn(
            "customer", "customer.group_in_a_circle", rows, len(known), "the group belongs to itself, over others"
        )


def _of_all(name: str) -> str:
    """What a column says of a customer whom several ids name: the first that is known, in their order."""
    of = {"customer_id": "any_value(one)", "joined_on": "min(joined_on)", "is_staff": "bool_or(is_staff)"}
    return f"{of.get(name, f'arg_min({name}, n)')} AS {name}"


def _places(rows: pd.DataFrame) -> str:
    return ", ".join(f"{file}:{line}" for file, line in zip(rows["file"], rows["line"], strict=True))
