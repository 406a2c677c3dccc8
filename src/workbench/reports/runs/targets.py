"""A new list, scored by a saved uplift model and drawn: one batch in memory (and 8 bytes a member), then one file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError, require_columns
from workbench.locks import whole

if TYPE_CHECKING:
    import pandas as pd

    from workbench.studies.uplift import ScoredList

BATCH = 100_000
OURS = ("uplift", "chosen", "arm", "unlike")


@dataclass(frozen=True)
class WrittenList:
    """The file, and what the model says of its members."""

    path: Path
    found: ScoredList


def score_file(
    model: Path | str,
    listed: Path | str,
    into: Path | str,
    *,
    member: str,
    campaign: str,
    key: bytes | str,
    holdout: float = 0.1,
    batch: int = BATCH,
) -> WrittenList:
    """Score a list of customers, draw the holdout among those worth a contact, and write Parquet in the list's order.

    Columns of the file: the member, `uplift` (predicted effect of contact), `chosen` (worth a contact), `arm`
    ("contact", "control" for the holdout, "" for the rest) and `unlike` (unlike the members the model was fitted on).
    The holdout is drawn by a keyed hash of each member, so anybody with the key can draw it again, from any
    order of the list.

    Parameters
    ----------
    model : path
        What `UpliftModel.save` wrote.
    listed : path
        Parquet or CSV (UTF-8, comma), one row a member, with the model's features.
    into : path
        The file to write; it appears when it is whole.
    member : str
        Column that identifies a member.
    campaign : str
        Name of the new campaign; a new name is a new draw.
    key : bytes or str
        At least 16 characters.
    holdout : float
        Share of the chosen, 0-1, that is held out; 0 for none.

    Raises
    ------
    WorkbenchError
        If a file cannot be read, a column is missing or of another kind, or members repeat or lack their identifier.
    CannotAnswer
        If the list is empty.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from workbench.methods.coding import text_hash
    from workbench.studies.campaign_planning import hold_out
    from workbench.studies.uplift import ListCounter, UpliftModel

    loaded, into = UpliftModel.load(model), Path(into)
    counter, seen = ListCounter(loaded), []
    with whole(into) as part, ExitStack() as opened:
        writer = None
        for frame in _batches(Path(listed), [member, *loaded.feature_names_in_], batch):
            if frame[member].isna().any():
                raise WorkbenchError("'{member}' is missing for {n} rows of the list.").of(
                    member, frame[member].isna().sum()
                )
            seen.append(text_hash(frame[member]))
            score, chosen, unlike = counter.take(frame)
            out = chosen & hold_out(frame[member], share=holdout, campaign=campaign, key=key)
            counter.count(int((chosen & ~out).sum()), int(out.sum()))
            arm = np.where(out, "control", np.where(chosen, "contact", ""))
            table = pa.table(
                {member: pa.array(frame[member].astype(str)), "uplift": score, "chosen": chosen, "arm": arm}
                | {"unlike": unlike}
            )
            writer = writer or opened.enter_context(pq.ParquetWriter(part, table.schema, compression="zstd"))
            writer.write_table(table)
        found = counter.result()
        once = np.sort(np.concatenate(seen))
        if (repeated := int((once[1:] == once[:-1]).sum())) > 0:
            raise WorkbenchError("the list has {n} rows of '{id}' again: keep one row a member.").of(repeated, member)
    return WrittenList(into, found)


def _batches(path: Path, columns: list[str], batch: int) -> Iterator[pd.DataFrame]:
    """Rows of a Parquet or CSV file, at most `batch` at a time."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    if member_twice := [c for c in OURS if c in columns]:
        raise WorkbenchError("the list's '{first}' has the name of a column of the answer: rename it.").of(
            member_twice[0]
        )
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            with pq.ParquetFile(path) as file:
                require_columns(pd.DataFrame(columns=file.schema_arrow.names), columns, "the list")
                for records in file.iter_batches(batch, columns=columns):
                    yield records.to_pandas()
        elif path.suffix.lower() == ".csv":
            reading = pa.csv.ReadOptions(block_size=1 << 22)
            nothing = pa.csv.ConvertOptions(strings_can_be_null=True)
            with pa.csv.open_csv(path, read_options=reading, convert_options=nothing) as file:
                require_columns(pd.DataFrame(columns=file.schema.names), columns, "the list")
                for records in file:
                    yield records.select(columns).to_pandas()
        else:
            raise WorkbenchError("'{path}' is neither .parquet nor .csv: save the list as one of them.").of(path.name)
    except FileNotFoundError:
        raise WorkbenchError("no list at {path}.").of(path) from None
    except pa.ArrowInvalid as error:
        raise WorkbenchError("'{path}' cannot be read: {error}.").of(path.name, error) from None
