from eval_anything.reported import Reported, Source
from eval_anything.results.reported import reported_text


def row(model: str, metric: str, value: float, **fields: object) -> Reported:
    base = {"task": "t", "status": "published", "source": Source("A paper", "Table 1"), "low": 0, "high": 10}
    return Reported(model=model, metric=metric, value=value, **{**base, **fields})  # type: ignore[arg-type]


def test_models_go_down_and_metrics_across_with_the_decimals_of_their_metric() -> None:
    rows = [row("a", "x", 6.0), row("b", "x", 5.95), row("a", "y", 0.5), row("c", "x", 1)]
    assert reported_text(rows).splitlines() == [
        "A paper, Table 1 (published; scale 0 to 10)",
        "model       x    y",
        "-------  ----  ---",
        "a        6.00  0.5",
        "b        5.95",
        "c        1.00",
    ]


def test_more_metrics_than_models_go_down() -> None:
    rows = [row("a", "x", 1.5, setting=setting, profile="original") for setting in ("base", "DPO")]
    assert reported_text(rows).splitlines() == [
        "A paper, Table 1 (published; scale 0 to 10; profile original)",
        "metric      a",
        "--------  ---",
        "x, base   1.5",
        "x, DPO    1.5",
    ]


def test_what_differs_in_source_profile_status_or_scale_is_not_in_one_table() -> None:
    rows = [
        row("a", "x", 1),
        row("a", "x", 2, profile="original"),
        row("a", "x", 3, status="presumed"),
        row("a", "x", 4, high=None),
        row("a", "x", 5, source=Source("A paper", "Table 2")),
    ]
    headings = [table.splitlines()[0] for table in reported_text(rows).split("\n\n")]
    assert headings == [
        "A paper, Table 1 (published; scale 0 to 10)",
        "A paper, Table 1 (published; scale 0 to 10; profile original)",
        "A paper, Table 1 (presumed; scale 0 to 10)",
        "A paper, Table 1 (published; scale 0 to open)",
        "A paper, Table 2 (published; scale 0 to 10)",
    ]


def test_remarks_stand_below_and_say_which_number_they_are_about() -> None:
    shared = [row("a", "x", 1, remarks="All."), row("b", "x", 2, remarks="All.")]
    assert reported_text(shared).splitlines()[-1] == "All."
    one = [row("a", "x", 1), row("b", "x", 2, setting="DPO", remarks="Odd.")]
    assert reported_text(one).splitlines()[-1] == "b, x, DPO: Odd."
