"""What a run has cost, and by which models it was served: from the usage that its journal holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval_anything.results.values import Cost, TaskResult
from eval_anything.results.words import counted
from eval_anything.stores.manifest import Billed, Manifest
from eval_anything.values import PURPOSES, Purpose, Usage
from eval_anything.values.usage import told

CALLED: Mapping[str, str] = {"model": "model", "judge": "judge", "tools": "agent's tools", "all": "all"}

NOT_RECORDED = "not recorded"


def consumed(tasks: Sequence[TaskResult]) -> dict[Purpose, Usage]:
    """Over all tasks, by what was asked for."""
    return {
        "model": sum((task.model_usage for task in tasks), Usage()),
        "judge": sum((task.judge_usage for task in tasks), Usage()),
        "tools": sum((task.tool_usage for task in tasks), Usage()),
    }


def costs(used: Mapping[Purpose, Usage], billing: Sequence[Billed]) -> list[Cost]:
    """Of each purpose for which something was asked; then of all together."""
    found = [
        _cost(purpose, used[purpose], [one for one in billing if one.purpose == purpose])
        for purpose in PURPOSES
        if used[purpose].requests or used[purpose].from_cache
    ]
    if not found:
        return []
    known = [cost.usd for cost in found if cost.usd is not None]
    unknown = [c for c in found if c.reason and (c.reason == NOT_RECORDED or used[_purpose(c)].unpriced)]
    reason = "; ".join(f"{CALLED[cost.of]}: {cost.reason}" for cost in unknown)
    if not known and not any(usage.unpriced for usage in used.values()):
        reason = NOT_RECORDED if unknown else "nobody bills"
    whole = Cost(
        of="all",
        usd=None if reason else sum(known),
        at_least_usd=sum(c.at_least_usd for c in found),
        reason=reason,
        billed=any(cost.billed for cost in found),
        from_cache=sum(c.from_cache for c in found),
    )
    return [*found, whole]


def _purpose(cost: Cost) -> Purpose:
    assert cost.of != "all"
    return cost.of


def _cost(purpose: Purpose, usage: Usage, billed: Sequence[Billed]) -> Cost:
    usd, reason, bills = usage.cost_usd, "", True
    if usage.unpriced:
        usd = None
        without = [one.model for one in billed if one.price is None and not one.local]
        if without:
            reason = f"no price is known for {', '.join(without)}"
        else:
            reason = f"of {counted(usage.unpriced, 'answer')} the server did not report what the price is by"
    elif usd is None and not usage.requests:
        usd = 0.0
    elif usd is None:
        local = [one.model for one in billed if one.local]
        bills = not local
        reason = f"{', '.join(local)}: local, nobody bills" if local else NOT_RECORDED
    return Cost(
        of=purpose,
        usd=usd,
        at_least_usd=usage.cost_usd or 0.0,
        reason=reason,
        billed=bills,
        from_cache=usage.from_cache,
    )


def changes(used: Mapping[Purpose, Usage]) -> list[str]:
    """One line for each model that answered under more than one name."""
    return [
        f"{spec} ({CALLED[purpose]}) changed under way: {told(names)}"
        for purpose, usage in used.items()
        for spec, names in usage.served.items()
        if len(names) > 1
    ]


def repeated(manifest: Manifest, used: Mapping[Purpose, Usage]) -> list[str]:
    """Of a run that repeats another: what differs between them."""
    earlier = manifest.repeats
    if earlier is None:
        return []
    served = [
        f"{spec} ({CALLED[purpose]}) was served as {', '.join(then)}, and now as {', '.join(now)}"
        for purpose, usage in used.items()
        for spec, then in earlier.served.get(purpose, {}).items()
        if (now := sorted(usage.served.get(spec, {}))) and now != sorted(then)
    ]
    lines = [*earlier.differs, *served]
    return [
        f"repeats {earlier.folder} of {earlier.created}"
        + (
            ""
            if lines
            else ": the same versions, checkpoints and data; servers answered under the same names"
        ),
        *(f"differs from it: {line}" for line in lines),
    ]
