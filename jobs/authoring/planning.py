"""From a wish to a plan: refused with everything that is wrong, or decided; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.authoring.ahead import AheadPlan, plan_ahead
from jobs.authoring.entities import Plan, plan_entities
from jobs.authoring.facts import look_at
from jobs.authoring.wishes import WishIncomplete, WishRefused, faults_of, find_table, listed, require_complete

if TYPE_CHECKING:
    from jobs.authoring.warehouse import Looker
    from jobs.authoring.wishes import Wish


def plan_of(wish: Wish, looker: Looker) -> Plan | AheadPlan:
    """The plan of a complete wish.

    Raises:
        WishIncomplete: if it is not complete.
        WishRefused: naming everything that cannot be so.
        KeyNotFound, HistoryTooShort: if the table's rows are not fit for it.
    """
    path = find_table(looker, wish.table) if wish.table else None
    if wish.table and path is None:
        raise WishRefused(f"the warehouse has no table {wish.table}; it has {listed(map('.'.join, looker.tables()))}")
    require_complete(wish, looker)
    if path is None:
        raise WishIncomplete("no table was named")
    table = look_at(looker, path)
    faults = list(faults_of(wish, table))
    if faults:
        raise WishRefused(f"{'; '.join(faults)}")
    return (plan_ahead if wish.ahead else plan_entities)(wish, looker, table)
