"""What are the clusters like? Small multiples of their profiles, and when in the week they use us."""

from __future__ import annotations

import textwrap
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, require_columns
from workbench.figures import axes
from workbench.messages import as_message, say
from workbench.result import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.studies.segmentation.clusters import Segments

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def plot_profiles(fitted: Segments, ax: Axes | None = None) -> Axes:
    """Draw a panel of bars for each cluster: the deviation of each feature in standard deviations, all to one scale."""
    ax = axes(ax)
    z = fitted.deviations
    step = 2.3 * max(np.abs(z.to_numpy()).max(), 1.0)
    place = np.arange(z.shape[1])
    for panel, (cluster, row) in enumerate(z.iterrows()):
        zero = panel * step
        ax.barh(place, row, left=zero, color=np.where(row > 0, "#D55E00", "#0072B2"))
        ax.axvline(zero, color="0.3", linewidth=0.8)
        words = textwrap.fill(
            say("{name}: {n}", name=str(cluster), n=as_message(fitted.names()[cluster])), max(10, 84 // fitted.k)
        )
        ax.annotate(
            words, (zero, 1), (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center"
        )
    ax.set_yticks(place, [str(name).replace("_", " ") for name in z.columns])
    ax.invert_yaxis()
    ax.set_xticks([panel * step + at for panel in range(fitted.k) for at in (-1, 1)], ["−1", "+1"] * fitted.k)
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
    import matplotlib.pyplot as plt

    require_columns(usage, ["group", "weekday", "hour", "share"], "usage")
    if usage.empty:
        raise CannotAnswer("there is no use to draw; the table is empty.")
    ax = plt.gca() if ax is None else ax
    groups = sorted(usage["group"].unique())
    weeks = np.zeros((len(groups), 8, 24))
    weeks[pd.Index(groups).get_indexer(usage["group"]), usage["weekday"], usage["hour"]] = 168 * usage["share"]
    weeks[:, 7] = np.nan
    picture = ax.imshow(weeks.reshape(-1, 24)[:-1], cmap="cividis", aspect="auto", vmin=0)
    ax.set_yticks(
        [8 * g + day for g in range(len(groups)) for day in (0, 6)], [DAYS[day] for _ in groups for day in (0, 6)]
    )
    for g, name in enumerate(groups):
        ax.annotate(textwrap.fill(str(name), 24), (-0.09, 8 * g + 3), xycoords=("axes fraction", "data"), ha="right",
            va="center")  # fmt: skip
    ax.set_xticks(range(0, 24, 3), [f"{hour}:00" for hour in range(0, 24, 3)])
    ax.set_xlabel("hour of the day")
    ax.grid(False)
    ax.figure.colorbar(picture, ax=ax, label="use (1 = the group's average hour)")
    return ax
