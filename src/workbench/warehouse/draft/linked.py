"""Whose rows are these, where a file knows customers by another key than theirs? By a file that holds both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from workbench.personal import PHONE, personal
from workbench.warehouse.draft.sample import Sample, bare
from workbench.warehouse.sql import quoted
from workbench.warehouse.texts import one_form

LINKED, ROW = "linked_customer_id", "linked_row"
HALF, MOST, FEW, MANY, LONG = 0.5, 0.8, 3, 20, 5
NUMBER = ("number", "code", "key", "id", "no", "nr", "编号", "编码", "号码", "账号", "账户", "标识", "号")


@dataclass(frozen=True)
class Link:
    """A file that gives the customer of a key: the key here, the same key there, and the customer there."""

    by: Sample
    here: str
    there: str
    customer: str

    def chain(self) -> list[Link]:
        """This one, and the link by which the file that it leads to knows its customers in turn."""
        return [self, *(one for link in self.by.links for one in link.chain())]

    def sql(self, rows: str = "rows_of", by: str = "customers_of") -> str:
        """The SELECT of a `[[prepare]]` step that joins them to rows; a key of several customers gives none."""
        by = f"({self.by.links[0].sql(by, f'{by}_those')})" if self.by.links else by
        key, here, customer = f"b.{quoted(self.there)}", f"f.{quoted(self.here)}", f"b.{quoted(self.customer)}"
        if PHONE in holds(self.by, self.there):
            wide = "'０１２３４５６７８９', '0123456789'"
            key, here = (
                f"right(regexp_replace(translate({cell}, {wide}), '[^0-9]', '', 'g'), 11)" for cell in (key, here)
            )
        return (
            f'SELECT f.*, concat_ws(\', \', f."#file", f."#line") AS {ROW},\n'
            f"  b.customer AS {LINKED}\nFROM {rows} f LEFT JOIN (\n"
            f"  SELECT {key} AS key, any_value({customer}) AS customer FROM {by} b\n"
            f"  GROUP BY ALL HAVING count(DISTINCT {customer}) = 1\n) b ON b.key = {here}"
        )


def link(samples: Sequence[Sample], customers: Sample, key: str) -> None:
    """Give each file that knows customers by another key alone a column with theirs, the `key` of `customers`."""
    keys = {
        id(s): {n: set(map(_plain, s.texts(n))) for n in s.columns if bare(n).endswith(NUMBER) or holds(s, n)}
        for s in samples
    }
    keys[id(customers)].setdefault(key, set(map(_plain, customers.texts(key))))

    def share(sample: Sample, name: str, hub: Sample, there: str) -> float:
        """The share of a column's texts that stand in a column of another file; 0 for what may be chance."""
        texts, known = keys[id(sample)][name], keys[id(hub)][there]
        both = len(texts & known)
        enough = both >= HALF * min(len(texts), len(known)) if sample.whole and hub.whole else both >= MANY
        return both / len(texts) if both >= FEW and enough else 0.0

    hubs = [(customers, key)]
    for sample in (one for one in samples if one is not customers):
        hubs += [(sample, name) for name in keys[id(sample)] if share(sample, name, customers, key)][:1]
    ends = {id(hub) for hub, _ in hubs}
    while hubs:
        new = []
        for sample in (one for one in samples if not one.links and id(one) not in ends):
            found = [
                (share(sample, here, hub, there), hub, here, there, customer)
                for hub, customer in hubs
                for there, texts in keys[id(hub)].items()
                if there != customer
                if len(texts) > MOST * len(hub.texts(there)) and not all(t.isdecimal() and len(t) < LONG for t in texts)
                for here in keys[id(sample)]
            ]
            most, hub, here, there, customer = max(found, key=lambda one: one[0], default=(0.0, customers, "", "", ""))
            if most:
                _join(sample, Link(hub, here, there, customer))
                new.append((sample, LINKED))
        hubs = new
    for sample, like in permutations([s for s in samples if s is not customers], 2):
        if like.links and not sample.links and {*sample.columns, LINKED} <= like.columns.keys():  # too few rows to tell
            _join(sample, like.links[0])


def _join(sample: Sample, found: Link) -> None:
    if LINKED not in sample.columns:
        of = dict(zip(map(_plain, found.by.columns[found.there]), found.by.columns[found.customer], strict=True))
        sample.columns[LINKED] = [of.get(_plain(text), "") for text in sample.columns[found.here]]
        sample.links.append(found)


def stem(name: str) -> str:
    """A name as names are compared, without the word for number at its end.

    >>> stem("Account No."), stem("客户编码"), stem("id")
    ('account', '客户', '')
    """
    plain = bare(name)
    return plain.removesuffix(next(filter(plain.endswith, NUMBER), ""))


def holds(sample: Sample, name: str, share: float = 0.9) -> set[str]:
    """What people's numbers a share of a column holds: of telephones, of identity cards; nothing for others."""
    texts = sample.texts(name)[:200]
    kinds = [set(personal(text, whole=True)) for text in texts]
    return {kind for kind in set().union(*kinds) if sum(kind in found for found in kinds) > share * len(texts)}


def _plain(text: str) -> str:
    return one_form(text, "phone") if PHONE in personal(text, whole=True) else text
