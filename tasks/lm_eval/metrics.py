"""The metrics of tasks and groups of lm-evaluation-harness as a tree of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from eval_anything.errors import UsageError
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.tasks.lm_eval.load import Loaded
from eval_anything.tasks.lm_eval.numbers import aggregation, is_mean, label, name_of, scale

Key = tuple[str, str]
"""Metric and filter."""


def tree(loaded: Loaded) -> tuple[Tree, list[str]]:
    """The tree, and what a reader must know of metrics that are not in it.

    Of one task the headline is its first metric, after its first filter; of a group that says how its tasks
    are put together, its first aggregated metric. A group that does not, or a tag, has none: the headline is
    then the plain mean of the tasks, which says that it is not lm-evaluation-harness's.
    """
    maker = _Maker(loaded)
    roots = maker.of_task() if len(loaded.tasks) == 1 else maker.of_tasks()
    headline = roots[0]
    return Tree(
        headline=headline, others=tuple(roots[1:]), higher_is_better=headline.higher_is_better is not False
    ), maker.notes


class _Maker:
    def __init__(self, loaded: Loaded) -> None:
        self._tasks = loaded.tasks
        self._groups = loaded.groups
        self._shown: set[tuple[str, Key]] = set()
        """Tasks' own numbers that are below a group's already."""
        self.notes: list[str] = []

    def of_task(self) -> list[Metric]:
        ((name, task),) = self._tasks.items()
        found = [self._leaf(label(*key), [name], key) for key in _keys(task)]
        roots = [metric for metric in found if metric is not None]
        if not roots:
            raise UsageError(f"task {name} of lm-evaluation-harness has no metric that can be computed here")
        return roots

    def of_tasks(self) -> list[Metric]:
        roots: list[Metric] = []
        for name, group in self._groups.items():
            for rule in group.aggregate_metric_list or ():
                for key in self._keys_of(group, rule):
                    title = f"{name} {label(*key)}" if roots else label(*key)
                    metric = self._of_group(title, group, key, by_size=rule.weight_by_size, first=not roots)
                    roots += [metric] if metric is not None else []
        if not roots:
            roots.append(self._plain_mean())
        for name, task in self._tasks.items():
            for key in _keys(task):
                if (name, key) not in self._shown:
                    metric = self._leaf(f"{name} {label(*key)}", [name], key)
                    roots += [metric] if metric is not None else []
        return roots

    def _keys_of(self, group: Any, rule: Any) -> list[Key]:
        """The metric of the rule under each of its filters that some task of the group has."""
        had = {key for name in _names(group) for key in _keys(self._tasks[name])}
        filters = rule.filter_list or sorted(own for metric, own in had if metric == rule.metric)
        return [(rule.metric, own) for own in filters if (rule.metric, own) in had]

    def _of_group(self, title: str, group: Any, key: Key, *, by_size: bool, first: bool) -> Metric | None:
        """As lm-evaluation-harness has it: over all tasks of the group, those of its groups included. Below
        the first one, the headline, its tasks have their own names alone."""
        names = [name for name in _names(group) if key in _keys(self._tasks[name])]
        if not all(is_mean(aggregation(self._tasks[name], key[0])) for name in names):
            return self._leaf(title, names, key, weighting="size" if by_size else "task")
        if by_size and not first:
            return self._leaf(title, names, key)
        return self._mean(title, names, key, by_size=by_size, first=first)

    def _mean(self, title: str, names: Sequence[str], key: Key, *, by_size: bool, first: bool) -> Metric:
        parts = []
        for name in names:
            own = f"{name} {label(*key)}" if (name, key) not in self._shown else f"{title}: {name}"
            parts.append(self._leaf(name if first else own, [name], key))
            self._shown.add((name, key))
        leaves = tuple(part for part in parts if part is not None)
        return Metric(name=title, parts=leaves, pooled=by_size, **self._ends(key[0], names[0]))

    def _plain_mean(self) -> Metric:
        """Of the first metrics of all tasks, as far as they agree on one."""
        first = {name: _keys(task)[0] for name, task in self._tasks.items() if _keys(task)}
        means = {n: key for n, key in first.items() if is_mean(aggregation(self._tasks[n], key[0]))}
        if not means:
            raise UsageError(
                "none of these tasks has a metric that a mean could be made of: name one of them"
            )
        key = Counter(means.values()).most_common(1)[0][0]
        names = [name for name, own in means.items() if own == key]
        title = f"{label(*key)}, plain mean (not lm-evaluation-harness's)"
        return self._mean(title, names, key, by_size=False, first=True)

    def _leaf(self, title: str, names: Sequence[str], key: Key, weighting: str = "") -> Metric | None:
        """Over the documents of the tasks `names`."""
        how = ""
        function = aggregation(self._tasks[names[0]], key[0])
        if weighting or not is_mean(function):
            try:
                how = name_of(function, weighting)
            except UsageError as fault:
                self.notes.append(f"{title} is left out: {fault}")
                return None
        groups = () if len(self._tasks) == 1 else tuple(names)
        return Metric(
            name=title, groups=groups, column=label(*key), corpus=how, **self._ends(key[0], names[0])
        )

    def _ends(self, metric: str, task: str) -> dict[str, Any]:
        """Where the scale ends, and which end is the better one."""
        low, high = scale(metric)
        ends = {} if (low, high) == (0.0, 1.0) else {"low": low, "high": high}
        better = self._tasks[task].higher_is_better().get(metric)
        return {**ends, **({} if better is None else {"higher_is_better": bool(better)})}


def _names(group: Any) -> list[str]:
    return [str(task.task_name) for task in group.get_all_tasks()]


def _keys(task: Any) -> list[Key]:
    """Metrics and filters in lm-evaluation-harness's order, those of the first filter first."""
    filters = [ensemble.name for ensemble in getattr(task, "_filters", ())] or ["none"]
    return [(metric, own) for own in filters for metric in task.aggregation() if metric != "bypass"]
