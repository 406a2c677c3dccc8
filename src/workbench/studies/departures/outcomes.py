"""How often do customers leave from each state of a complaint, and what does chance tell?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.messages import Term, say
from workbench.methods.confounding import e_value
from workbench.methods.counts import expected
from workbench.methods.intervals import share_difference
from workbench.methods.survival import cox, indicators, state_table
from workbench.studies.departures.spells import FAILED, GONE, LATE, NONE, OPEN, RECOVERED, STATES

FEWEST_LEFT = 10
"""A state with fewer departures has no ratio, and arms of fewer together no effect."""
COMMON = 0.15
"""Leaving within the time of a state is rare below this share: a ratio of hazards then stands for one of risks."""
ASSOCIATED, EFFECT = "associated", "effect (randomised)"
NOTHING = ("not_offered", "control", "held_out")
"""Names of the arm that got nothing, as the warehouse writes them; without one, the first by letters is the other."""
EVERYBODY, CLOCK, LANDMARK = "all customers, by tenure", "complainers, from opening on", "complainers, landmark"
ORDER = (LATE, FAILED, OPEN, RECOVERED)


def compared(cases, after, spells, groups, window: int, landmark: int, level: float) -> pd.DataFrame:
    """Hazard ratios of the states: of all by tenure, of complainers from opening on, and by landmark."""
    kept = cases[(cases["opened"] + landmark < cases["until"]) & (cases["known"] > landmark)]
    there = kept["opened"] + landmark
    late = pd.DataFrame(
        {
            "customer": kept["customer"],
            "entry": 0,
            "exit": np.minimum(kept["until"] - there, window),
            "state": kept["state"].where(kept["closed"] <= there, OPEN),
            "left": kept["left"] & (kept["until"] - there <= window),
        }
    )
    parts = (
        ratios(spells, groups, NONE, EVERYBODY, level),
        ratios(after, groups, RECOVERED, CLOCK, level),
        ratios(late, groups, RECOVERED, LANDMARK, level),
    )
    columns = ["among", "state", "against", "customers", "left", "ratio", "low", "high", "e_value", "e_value_low"]
    return pd.DataFrame([row for rows in parts for row in rows], columns=columns).assign(reading=ASSOCIATED)


def from_opening(cases: pd.DataFrame, window: int) -> pd.DataFrame:
    """Cut each complaint into its time open and its time closed, in days since opening."""
    length, shut = cases["until"] - cases["opened"], cases["closed"] - cases["opened"]
    end = np.where(shut < length, np.minimum(shut + window, length), np.minimum(length, shut + window))
    one = cases[["customer", "left"]].assign(case=np.arange(len(cases)), entry=0, exit=shut, state=OPEN)
    one["left"] &= shut >= length
    two = cases[["customer", "left", "state"]].assign(case=np.arange(len(cases)), entry=shut, exit=end)
    two["left"] &= two["exit"] >= length
    both = pd.concat([one, two], ignore_index=True)
    return both[both["exit"] > both["entry"]].reset_index(drop=True)


def ratios(spells: pd.DataFrame, groups, against: str, among: str, level: float) -> list[list[object]]:
    """Hazard ratios of the states that have departures enough, given the groups; clustered by customer."""
    left = spells.groupby("state")["left"].sum()
    told = [s for s in ORDER if s != against and left.get(s, 0) >= FEWEST_LEFT]
    if not told or left.get(against, 0) < FEWEST_LEFT:
        return []
    used = spells[spells["state"].isin([against, *told])]
    x = [indicators(used["state"], against)]
    for name in groups:
        mine = used["customer"].map(groups[name])
        dummies = indicators(mine, mine.value_counts().sort_index().idxmax())
        events = dummies.mul(used["left"], axis=0).sum()
        x.append(dummies.loc[:, (events > 0) & (events < used["left"].sum())].add_prefix(f"{name}="))
    fit = cox(used["entry"], used["exit"], used["left"], pd.concat(x, axis=1), clusters=used["customer"], level=level)
    rows: list[list[object]] = []
    for state in told:
        ratio, low, high = fit.table.loc[state, ["ratio", "low", "high"]]
        mine, other = (used[used["state"] == one].assign(days=used["exit"] - used["entry"]) for one in (state, against))
        rate = max(part["left"].sum() / part["days"].sum() for part in (mine, other))
        common = {"hazard_of_common": bool(1 - np.exp(-rate * mine["days"].max()) > COMMON)}
        near = low if low > 1 else high if high < 1 else 1.0
        rows.append(
            [
                among,
                state,
                against,
                mine["customer"].nunique(),
                int(mine["left"].sum()),
                ratio,
                low,
                high,
                e_value(ratio, **common),
                e_value(near, **common),
            ]
        )
    return rows


def rates(spells: pd.DataFrame, level: float) -> pd.DataFrame:
    """Departures per 100 customers in 30 days, by state."""
    spells = spells.assign(days=spells["exit"] - spells["entry"])
    found = spells.groupby("state").agg(customers=("customer", "nunique"), days=("days", "sum"), left=("left", "sum"))
    found = found.reindex([s for s in STATES if s in found.index])
    low, high = expected(found["left"].to_numpy(), level=level)
    to_share = [0.0 - 100 * np.expm1(-30 * events / found["days"]) for events in (found["left"], low, high)]
    return found.assign(per_100=to_share[0], low=to_share[1], high=to_share[2]).reset_index()


def occupation(cases: pd.DataFrame, window: int) -> pd.DataFrame:
    """Share of complaints in each state by day since opening (Aalen and Johansen); closed at once is open for a day."""
    names = [OPEN, RECOVERED, LATE, FAILED, GONE]
    state = cases["state"].map(names.index).to_numpy()
    length = (cases["until"] - cases["opened"]).to_numpy()
    shut = (cases["closed"] - cases["opened"]).clip(1, length).to_numpy()
    gone, never = np.where(cases["left"], names.index(GONE), -1), (state == 0) | (shut >= length)
    one = np.column_stack([0 * shut, shut, 0 * shut, np.where(never, gone, state)])
    spells = np.vstack([one, np.column_stack([shut, length, state, gone])[~never]])
    spells = spells[spells[:, 0] < window]
    spells[:, 3] = np.where(spells[:, 1] > window, -1, spells[:, 3])
    spells[:, 1] = np.minimum(spells[:, 1], window)
    shares = np.hstack([np.eye(len(names))[:, :1], state_table(*spells.T, states=len(names)).occupied()])
    day = np.arange(shares.shape[1])
    return pd.DataFrame({"day": np.tile(day, len(names)), "state": np.repeat(names, len(day)), "share": shares.ravel()})


def arms_compared(openings, drawn, paid, window: int, level: float) -> pd.DataFrame:
    """Compare the arms by assignment: who leaves within the window of opening, among complaints known that long.

    Nothing that became of a complaint after the lot, neither a day of closing nor an outcome, takes it out.
    """
    columns = ["arm", "against", "customers", "customers_against", "left", "percentage_points", "low", "high"]
    columns += ["compensation_more", "reading"]
    empty = pd.DataFrame(columns=columns)
    if drawn is None:
        return empty
    ready = openings.assign(arm=drawn[openings["row"]], left=openings["stayed"] <= window)
    ready = ready[ready["arm"].notna() & (ready["known"] >= window)]
    ready = ready.sort_values(["customer", "moment", "arm"], kind="stable").drop_duplicates("customer")
    sizes = ready["arm"].value_counts().sort_index()
    if len(sizes) < 2 or ready["left"].sum() < FEWEST_LEFT:
        return empty
    first, rows = next((name for name in NOTHING if name in sizes.index), min(sizes.index)), []
    zero = ready[ready["arm"] == first]
    for name in [name for name in sizes.index if name != first]:
        one = ready[ready["arm"] == name]
        low, high, _ = share_difference(one["left"].sum(), len(one), zero["left"].sum(), len(zero), level=level)
        more = np.nan if paid is None else _mean(paid[one["row"]]) - _mean(paid[zero["row"]])
        gap = one["left"].mean() - zero["left"].mean()
        points = [100 * gap, 100 * low, 100 * high]
        rows.append([name, first, len(one), len(zero), int(one["left"].sum()), *points, more, EFFECT])
    return pd.DataFrame(rows, columns=columns)


def _mean(values: np.ndarray) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def worth_of(cases, arms, paid, groups, value: float, window: int, level: float, currency: str) -> pd.DataFrame:
    """What an hour sooner and a unit of money are worth: a linear model of leaving after closing, among cases solved.

    A case counts only if the whole window after its closing is known: else slow ones, known for less, leave less.
    """
    import statsmodels.api as sm

    rows: list[dict[str, Any]] = []
    unit = say("a {currency} of compensation", currency=Term(currency))
    took = cases["closed"] - cases["opened"]
    solved = cases[cases["state"].isin([RECOVERED, LATE]) & (cases["known"] - took >= window)]
    gone = solved["stayed"] - took[solved.index] <= window
    if value and gone.sum() >= FEWEST_LEFT:
        x = pd.DataFrame({"hours": solved["hours"]})
        if paid is not None:
            x["paid"] = np.nan_to_num(paid[solved["row"]])
        for name in groups:
            mine = solved["customer"].map(groups[name])
            x = x.join(indicators(mine, mine.value_counts().sort_index().idxmax()).add_prefix(f"{name}="))
        x = x.loc[:, x.std() > 0]
        who = pd.factorize(solved["customer"])[0]
        fit = sm.OLS(gone.astype(float), sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": who})
        ends = fit.conf_int(1 - level)
        for name, said in (("hours", "an hour sooner"), ("paid", unit)):
            if name in x:
                low, high = ends.loc[name] if name == "hours" else -ends.loc[name].iloc[::-1]
                rows.append({"what": said, "low": value * low, "high": value * high, "reading": ASSOCIATED})
    for row in arms.itertuples():
        if value and np.isfinite(row.compensation_more) and row.compensation_more > 0:
            rows = [r for r in rows if r["what"] != unit]
            scale = -value / 100 / row.compensation_more
            rows.append({"what": unit, "low": scale * row.high, "high": scale * row.low, "reading": EFFECT})
    found = pd.DataFrame(rows, columns=["what", "low", "high", "reading"])
    return found.assign(what=pd.Series([row["what"] for row in rows], found.index, dtype=object))
