"""Which customers and accounts need somebody to act?"""

from __future__ import annotations

from workbench.messages import Message, Share, say
from workbench.result import Decision, Refusal
from workbench.studies.tiers.accounts import KeyAccounts
from workbench.studies.tiers.levels import FEW, Tiers


def decision(levels: Tiers, served: Decision, accounts: KeyAccounts | Refusal) -> Decision:
    """Say whom to call and which grades to rely on, of what could be answered, after what is decided on service."""
    grades = () if isinstance(accounts, Refusal) else (_grades(accounts),)
    return Decision((*served.do, _calls(levels), *grades), served.change)


def _grades(accounts: KeyAccounts) -> Message:
    return say(
        "Trust {firm} of the grades of key accounts; other weights could change the rest.", firm=Share(accounts.firm, 0)
    )


def _calls(levels: Tiers) -> Message:
    """Advise on customers near demotion in the best tier that has enough of them."""
    for row in levels.ranked.iloc[:-1].itertuples():
        if row.near_demotion >= FEW:
            return say(
                "First call the {n} of {all} in {tier} close to losing it; spare some.",
                n=int(row.near_demotion),
                all=int(row.customers),
                tier=levels.called(row.tier),
            )
    return say("Call nobody for fear of demotion: in no upper tier are {few} customers near it.", few=FEW)
