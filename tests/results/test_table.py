from __future__ import annotations

import csv
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eval_anything.results.results import build
from eval_anything.results.table import FORMATS, print_table, render
from eval_anything.results.values import Results
from eval_anything.stats.aggregate import Means, Metric, Tree
from eval_anything.values import Usage

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = (
    "[bold red]x[/] | a\nb \x1b[2J\u202e <script>alert(1)</script> \\input{/etc/passwd} $x$ =1+1 `c` _e_ & %"
)


def whole(run: Any) -> Path:
    """Two tasks: one finished and comparable, one synthetic, unfinished, with all that can be missing."""
    dimensions = Means(overall="AMU", groups=("perception", "reasoning"), low=1, high=10)
    run.manifest(
        run.plan(planned=5, aggregation=dimensions),
        run.plan(
            name="amg",
            planned=9,
            data="synthetic",
            judge="reference",
            protocol_judge=False,
            missing="floor",
            notes=("2 records without media are left out",),
        ),
    )
    for i, value in enumerate([3, 5, 8, 9]):
        group = ("perception", "reasoning")[i % 2]
        run.scored(
            f"s{i}", value, group=group, seconds=1.25, usage=Usage(requests=1, images_in=1, cost_usd=0.5)
        )
    run.scored("cut", 6, group="reasoning", state="truncated")
    for repeat in (0, 1):
        run.scored("a", 4, task="amg", repeat=repeat, masked=("audio",), notes=("image: resized to 448x448",))
    run.response("b", task="amg")
    run.score("b", None, "unparsed", task="amg")
    run.response("c", task="amg")
    run.score("c", None, "judge_error", task="amg")
    run.failed("d", "rate_limit", task="amg")
    run.scored("e", 7, task="amg", parts=(), usage=Usage(reasoning_tokens=1234, audio_s_in=2.5))
    run.response("f", task="amg")
    run.scored("g", 2, task="amg", fingerprint="other")
    return run.save()


def empty(run: Any) -> Path:
    run.manifest(
        run.plan(aggregation=Means(overall="AMU", groups=("perception", "reasoning"), low=1, high=10))
    )
    return run.folder


def one(run: Any) -> Path:
    run.manifest(run.plan(planned=1))
    run.scored("a", 7)
    return run.save()


def hostile(run: Any) -> Path:
    """The same hostile string wherever a model, a data set or a user can put one."""
    run.manifest(
        run.plan(
            name=HOSTILE,
            version=HOSTILE,
            planned=2,
            data="synthetic",
            judge=HOSTILE,
            protocol_judge=False,
            aggregation=Means(overall="=" + HOSTILE, groups=(HOSTILE, "[* " + HOSTILE), low=1, high=10),
            notes=(HOSTILE,),
        ),
        model=HOSTILE,
        created=HOSTILE,
    )
    run.scored(HOSTILE, 7, task=HOSTILE, group=HOSTILE, cluster=HOSTILE, notes=(HOSTILE,))
    run.failed("x", HOSTILE, task=HOSTILE, group="other " + HOSTILE)
    run.scored("x", 1, task="unknown " + HOSTILE)
    return run.save()


def tree(run: Any) -> Path:
    """Ratios in categories of groups, with what the protocol counts in place of a missing score."""
    groups = ("conv", "detail", "chart")
    ratios = tuple(Metric(name=name, groups=(name,), per="reference", factor=100) for name in groups)
    headline = Metric(
        name="relative", parts=(Metric(name="photos", pooled=True, parts=ratios[:2]), ratios[2])
    )
    others = (Metric(name="win rate", column="win", factor=100), Metric(name="rating", low=1, high=10))
    aggregation = Tree(headline=headline, others=others, high=100)
    run.manifest(run.plan(planned=13, aggregation=aggregation, profile="original"))
    for i in range(12):
        value = float(3 + i * 5 % 7)
        run.response(f"s{i:02}", group=groups[i % 3])
        run.score(f"s{i:02}", value, components={"reference": 8.0, "win": float(value > 8)})
    run.response("cut short", group="conv")
    run.score("cut short", -1.0, "unparsed", components={"reference": -1.0, "win": None})
    return run.save()


CASES = {"whole": whole, "empty": empty, "one": one, "hostile": hostile, "tree": tree}
EXTENSION = {"table": "txt", "latex": "tex"}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_golden(run: Any, case: str, format: Any) -> None:
    text = render(build(CASES[case](run)), format)
    path = GOLDEN / f"{case}.{EXTENSION.get(format, format)}"
    if os.environ.get("EVAL_ANYTHING_UPDATE_GOLDEN") == "1":
        path.write_text(text)
    assert text == path.read_text(), "EVAL_ANYTHING_UPDATE_GOLDEN=1 writes the golden files anew"


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_hostile_reaches_a_terminal(run: Any, format: Any) -> None:
    text = render(build(hostile(run)), format)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "alert(1)" in text  # the string as such is shown


@pytest.mark.parametrize("format", FORMATS)
def test_synthetic_data_and_a_foreign_judge_are_said_on_every_number(run: Any, format: Any) -> None:
    text = render(build(whole(run)), format)
    if format in ("csv", "json"):
        rows = list(csv.DictReader(io.StringIO(text))) if format == "csv" else json.loads(text)["tasks"]
        assert [str(row["comparable"]).lower() for row in rows][-1] == "false"
        assert rows[-1]["data"] == "synthetic" and rows[-1]["judge"] == "reference"
    else:
        plain = text.replace("&#x27;", "'")
        assert "synthetic data: not comparable with published numbers" in plain
        assert "judge: reference (offline; not the protocol's judge)" in plain
        assert "unfinished run: 11 of 14 responses" in plain


def test_no_markup_of_a_string_is_obeyed(run: Any) -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=300, force_terminal=True, color_system="truecolor")
    print_table(build(hostile(run)), console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "[bold red]x[/]" in shown
    assert "\x1b[1;31m" not in shown and "\x1b[2J" not in shown


def test_markdown_tables_keep_their_columns(run: Any) -> None:
    text = render(build(hostile(run)), "md")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {10}
    assert "<script" not in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_html_has_no_tag_but_its_own(run: Any) -> None:
    tags = Tags()
    tags.feed(build(hostile(run))._repr_html_())
    assert tags.seen == {"h3", "h4", "p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td"}


def test_latex_has_no_command_but_its_own(run: Any) -> None:
    text = render(build(hostile(run)), "latex")
    commands = set(re.findall(r"\\([a-zA-Z]+)", text))
    assert "input" not in commands
    assert commands <= {
        *("section", "subsection", "noindent", "textbf", "par", "begin", "end", "hline", "quad", "smallskip"),
        *("textbackslash", "textless", "textgreater", "textbar", "textasciicircum", "textasciitilde"),
    }
    # After the line break of a table, [ and * would be its arguments.
    assert not re.search(r"\\\\\s*[\[*]", text)


def test_csv_has_no_formulas_and_reads_back(run: Any) -> None:
    results = build(hostile(run))
    rows = list(csv.DictReader(io.StringIO(render(results, "csv"))))
    assert len(rows) == 3
    assert rows[0]["metric"].startswith("'=")
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert float(rows[1]["value"]) == 7.0


def test_json_reads_back_whole(run: Any) -> None:
    results = build(hostile(run))
    assert msgspec.json.decode(render(results, "json"), type=Results) == results


def test_str_is_the_table(run: Any) -> None:
    results = build(one(run))
    assert str(results) + "\n" == render(results, "table")


def test_a_result_without_tasks_renders_in_every_format() -> None:
    results = Results(model="m", created="now", tasks=[], complete=True, notes=[], journal_bytes=0)
    for format in FORMATS:
        assert isinstance(render(results, format), str)
