"""May one act on a path model, and is one model enough for all groups?"""

from __future__ import annotations

from workbench.messages import Message, say
from workbench.methods.plspm.assess import ModelQuality
from workbench.methods.plspm.groups import GroupDifferences, MeasurementInvariance
from workbench.methods.plspm.predict import PlsPrediction
from workbench.result import Decision, Refusal


def decision(
    quality: ModelQuality,
    predicted: PlsPrediction | Refusal,
    same: MeasurementInvariance | Refusal,
    differ: GroupDifferences | Refusal,
) -> Decision:
    """Say whether priorities may be set by the model, what it may forecast, and for whom it must be fitted apart."""
    change = say("an unreliable measure, or differing groups.")
    if not quality.sound:
        change = say("the same model without these doubts in the next wave.")
    return Decision((_use(quality), _groups(same, differ), _forecast(quality, predicted)), change)


def _use(quality: ModelQuality) -> Message:
    fit, doubts, (apart, pairs) = quality.bootstrap.fit, quality.bootstrap.verdicts, quality.distinct
    if not fit.converged:
        return say("Do not use the model: give it more respondents or fewer measures.")
    if quality.sound:
        return say("Set priorities by the model; its effects are not proven causes.")
    if doubts:
        return say("Look at the {n} doubts about the measures before acting on any of them.", n=len(doubts))
    if apart < pairs:
        return say("Set no priority between measures that may be the same: {n} pairs.", n=pairs - apart)
    return say("Set no priority by a single path: the model reproduces the answers badly.")


def _forecast(quality: ModelQuality, predicted: PlsPrediction | Refusal) -> Message:
    if isinstance(predicted, Refusal):
        return say("Forecast nothing with it: whether it predicts is not answerable here.")
    if not quality.bootstrap.fit.converged or not predicted.better or predicted.power == "none":
        return say("Forecast no answers with it: it is not shown to predict better than the mean answer.")
    return say("Forecast answers with it: it predicts them better than the mean answer does.")


def _groups(same: MeasurementInvariance | Refusal, differ: GroupDifferences | Refusal) -> Message:
    if isinstance(same, Refusal) or isinstance(differ, Refusal):
        return say("Compare no groups: whether they differ is not answerable here.")
    if (same.table["invariance"] == "none").any():
        return say("Compare only the groups and measures that mean the same to both sides.")
    if not (same.tellable and differ.tellable):
        return say("Compare no groups: whether they differ is not answerable here.")
    if len(differ.clear):
        return say("Fit the model apart where groups differ: {largest}.", largest=differ.largest())
    return say("Use one model for all groups: no effect differs significantly.")
