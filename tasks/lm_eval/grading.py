"""Answers to one document as scores: through the task's filters and metrics."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from eval_anything.lm_eval.prompts import cut
from eval_anything.tasks.lm_eval.documents import Asked
from eval_anything.tasks.lm_eval.numbers import aggregation, is_mean, label, plain
from eval_anything.values import Response, Sample, Score

_NOT_METRICS = ("bypass",)
_SHOWN_CHARS = 2000


def grade(task: Any, document: Any, sample: Sample, response: Response, judge: str) -> Score:
    """The document's metrics: means as components under lm-evaluation-harness's names, the others' parts as
    items. The score's value is the headline's, or what is nearest to one for a single document."""
    answers = response.answers or (response,)
    silent = [answer for answer in answers if not answer.answered]
    texts = sample.continuations or (None,) * len(answers)
    unscored = [a for a, text in zip(answers, texts, strict=True) if text is not None and not a.likelihood]
    if silent or unscored:
        reason = f"{len(silent or unscored)} of {len(answers)} requests were not answered"
        return Score(value=None, state="no_response", reason=reason, judge=judge)
    asked = msgspec.convert(sample.metadata, Asked)
    instances = _instances(sample, asked, document, response)
    # Filters are a task's own affair; a document's answers are all that they are shown here.
    task._instances = instances
    task.apply_filters()
    components: dict[str, float | None] = {}
    items: dict[str, Any] = {}
    filtered: dict[str, Any] = {}
    for name in instances[0].filtered_resps:
        results = [instance.filtered_resps[name] for instance in instances]
        filtered[name] = [_shown(result) for result in results]
        for metric, value in task.process_results(document, results).items():
            if metric in _NOT_METRICS:
                continue
            if is_mean(aggregation(task, metric)):
                components[label(metric, name)] = _number(metric, value)
            else:
                items[label(metric, name)] = plain(value)
    return Score(
        value=_value(components, items),
        state="scored",
        judge=judge,
        components=components,
        items=items,
        details={"filtered": filtered},
    )


def _instances(sample: Sample, asked: Asked, document: Any, response: Response) -> list[Any]:
    """lm-evaluation-harness's own form of requests, with what was answered."""
    from lm_eval.api.instance import Instance

    results = [
        _result(asked.types[number // asked.repeats], answer, sample)
        for number, answer in enumerate(response.answers or (response,))
    ]
    instances = []
    for number, kind in enumerate(asked.types):
        instance = Instance(
            request_type=kind,  # type: ignore[arg-type]
            doc=document,
            arguments=(),
            idx=number,
            metadata=(sample.group, asked.doc_id, asked.repeats),
        )
        instance.resps = results[number * asked.repeats :][: asked.repeats]
        instances.append(instance)
    return instances


def _result(kind: str, answer: Response, sample: Sample) -> Any:
    """What a model of lm-evaluation-harness returns for a request of this type."""
    if kind == "generate_until":
        return cut(answer.text, sample.params.stop)
    assert answer.likelihood is not None
    if kind == "loglikelihood_rolling":
        return answer.likelihood.logprob
    return answer.likelihood.logprob, answer.likelihood.greedy


def _number(metric: str, value: Any) -> float | None:
    """A document's part in a mean; None where it is no number (nan)."""
    value = plain(value)
    if not isinstance(value, bool | int | float):
        raise TypeError(f"metric {metric!r} is a mean, and this document's part in it is {value!r}")
    return None if math.isnan(value) else float(value)


def _value(components: dict[str, float | None], items: dict[str, Any]) -> float:
    """The first metric that has a number for one document; of those made of all documents at once, the mean
    of the numbers that this one brings (which says little by itself, and enters no metric)."""
    for component in components.values():
        if component is not None:
            return component
    for item in items.values():
        numbers = [
            n for n in (item if isinstance(item, list) else [item]) if isinstance(n, bool | int | float)
        ]
        if numbers:
            return float(sum(numbers) / len(numbers))
    return 0.0


def _shown(result: Any) -> Any:
    """A filtered answer for the reader."""
    return result[:_SHOWN_CHARS] if isinstance(result, str) else plain(result)
