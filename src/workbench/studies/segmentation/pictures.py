"""What are the clusters like? Small multiples of their profiles, and when in the week they use us."""

from __future__ import annotations

import textwrap
from functools import partial

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, require_columns
from workbench.figures import Axes, axes, heat_map
from workbench.messages import as_message, say
from workbench.result import Picture

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def plot_profiles(deviations: pd.DataFrame, names: pd.Series, ax: Axes | None = None) -> Axes:
    """Draw a panel of bars for each cluster: the deviation of each feature in standard deviations, all to one scale.

    `deviations` has one row a cluster and one column a feature; `names` has what each cluster is called.
    """
    ax = axes(ax)
    step = 2.3 * max(np.abs(deviations.to_numpy()).max(), 1.0)
    place = np.arange(deviations.shape[1])
    ticks = [panel * step + at for panel in range(len(deviations)) for at in (-1, 1)]
    for panel, (cluster, row) in enumerate(deviations.iterrows()):
        zero = panel * step
        ax.barh(place, row, left=zero, color=np.where(row > 0, "#D55E00", "#0072B2"))
        ax.axvline(zero, color="0.3", linewidth=0.8)
        words = textwrap.fill(
            say("{name}: {n}", name=str(cluster), n=as_message(names[cluster])), max(10, 84 // len(deviations))
        )
        ax.annotate(
            words, (zero, 1), (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center"
        )
    ax.set_yticks(place, [str(name).replace("_", " ") for name in deviations.columns])
    ax.invert_yaxis()
    ax.set_xticks(ticks, ["−1", "+1"] * len(deviations))
    ax.set_xlabel("deviation from all customers (standard deviations)")
    ax.grid(False, axis="y")
    return ax


def weekly_use(usage: pd.DataFrame) -> Picture:
    """Give the week of `plot_usage` as a page shows it."""
    return Picture(
        "week",
        partial(plot_usage, usage),
        say("When they use us: share of each cluster's events by weekday and hour."),
        say(
            "A panel a cluster, weekdays down, hours across; brighter hours have more of the cluster's calls, data and "
            "messages."
        ),
    )


def plot_usage(usage: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a week of 7 x 24 hours for each group: how much more it uses us in an hour than in its average hour.

    `usage` has one row a group, weekday (0 Monday to 6 Sunday) and hour, with share (of the group's events).
    """
    require_columns(usage, ["group", "weekday", "hour", "share"], "usage")
    if usage.empty:
        raise CannotAnswer("there is no use to draw; the table is empty.")
    groups = sorted(usage["group"].unique())
    weeks = np.zeros((len(groups), 8, 24))
    weeks[pd.Index(groups).get_indexer(usage["group"]), usage["weekday"], usage["hour"]] = 168 * usage["share"]
    weeks[:, 7] = np.nan
    hours = pd.DataFrame(weeks.reshape(-1, 24)[:-1])
    ax = heat_map(hours, "", ax, cmap="cividis", vmin=0, label="use (1 = the group's average hour)")
    ax.set_yticks(
        [8 * g + day + 0.5 for g in range(len(groups)) for day in (0, 6)], [DAYS[day] for _ in groups for day in (0, 6)]
    )
    for g, name in enumerate(groups):
        ax.annotate(
            textwrap.fill(str(name), 24),
            (-0.09, 8 * g + 3.5),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
        )
    ax.set_xticks([hour + 0.5 for hour in range(0, 24, 3)], [f"{hour}:00" for hour in range(0, 24, 3)])
    ax.set_xlabel("hour of the day")
    return ax
