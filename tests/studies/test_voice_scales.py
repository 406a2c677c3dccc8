"""Are boxes counted only on the scale that was asked?"""

import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.studies.voice import net_promoter, top_boxes, voice_scores

FIVE = pd.DataFrame({"NPS": [1, 2, 3, 4, 5, 5, 4, 5, 5, 4] * 10})


def score(measure, table: pd.DataFrame = FIVE) -> float:
    """The estimate of one measure."""
    return voice_scores(table, [measure], by=(), weight=None).table.loc[0, "estimate"]


@pytest.mark.parametrize("measure", [net_promoter(), net_promoter(low=1), top_boxes("NPS")])
def test_a_scale_that_the_answers_do_not_show_is_asked_for(measure):
    """On 1 to 5 nobody is a promoter of 0 to 10, and no answer contradicts it: refused, not -100 and 0 %."""
    with pytest.raises(WorkbenchError, match=r"holds 1 to 5: its scale is not given.*Give low= and high="):
        score(measure)


def test_boxes_of_a_given_scale_by_hand():
    """Of ten answers four are 5 and three 4: 70 % in the top two; promoters 40 %, detractors (3 or less) 30 %."""
    assert score(top_boxes("NPS", high=5)) == 70
    assert score(net_promoter(low=0, high=5, top=5, bottom=3)) == pytest.approx(10)
    assert score(net_promoter(high=10)) == -100
    assert score(net_promoter(low=1), FIVE * 2) == pytest.approx(40 - 30)


@pytest.mark.parametrize("build", [lambda: net_promoter(high=5), lambda: top_boxes("NPS", high=5, boxes=5)])
def test_boxes_off_the_scale_are_refused(build):
    """Promoters from 9 on a scale to 5, or all boxes of it, are no measure."""
    with pytest.raises(WorkbenchError, match="do not lie on the scale"):
        build()
