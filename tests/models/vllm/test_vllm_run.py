"""Whole runs with `vllm/`, as processes, over a server that does as `vllm serve` does; none is left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from vllm_lab import are_gone, checkpoint, environment, processes

from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("vllm") / "env")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of this test's own, whose kept servers end with it."""
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    for record in (tmp_path / "home" / "vllm").glob("server-*/server.json"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(record.read_bytes())["pid"], signal.SIGTERM)
    assert are_gone(processes(str(tmp_path))), "a test left processes behind"


class Lab:
    """Commands for one checkpoint."""

    def __init__(self, folder: Path, python: Path, task: str) -> None:
        self.folder = folder
        self.out = folder / "run"
        self.python = python
        self.task = task

    def command(self, *more: str, n: int = 12, out: Path | None = None) -> list[str]:
        words = [sys.executable, "-m", "eval_anything", "run", "--model", f"vllm/{self.folder / 'm'}"]
        words += ["-M", f"python={self.python}", "-M", "backoff_s=0.01", "--include", self.task]
        words += ["--tasks", "text_task", "--data", f"synthetic:n={n}", "--out", str(out or self.out)]
        return [*words, *more]

    def run(self, *more: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = self.command(*more, **options)  # type: ignore[arg-type]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def servers(self) -> list[int]:
        return processes(str(self.folder / "m"))

    def rows(self) -> list[ResponseRow]:
        return [row for row in read_rows(self.out / "journal.jsonl") if isinstance(row, ResponseRow)]


@pytest.fixture
def lab(tmp_path: Path, python: Path, text_task: str) -> Lab:
    return Lab(tmp_path, python, text_task)


def test_a_run_starts_its_server_and_stops_it(lab: Lab) -> None:
    checkpoint(lab.folder / "m", strays=True)
    done = lab.run()
    assert done.returncode == 0, done.stderr
    assert [row.response.state for row in lab.rows()] == ["ok"] * 12
    assert re.search(r"starting vLLM, log: .*\n(.*\n)*.*: ready ", done.stderr)
    log = Path(done.stderr.split("log: ")[1].split()[0])
    assert "Application startup complete" in log.read_text()
    assert not lab.servers()


def test_no_key_is_in_process_lists_logs_or_the_run(lab: Lab, home: Path) -> None:
    checkpoint(lab.folder / "m", load_s=2.0)
    with subprocess.Popen(lab.command(), stderr=subprocess.PIPE, text=True) as process:
        lines: list[str] = []
        while not (found := lab.servers()) or len(found) < 4:
            assert process.poll() is None
            time.sleep(0.01)
        for pid in found:
            with contextlib.suppress(OSError):
                lines.append(Path(f"/proc/{pid}/cmdline").read_text())
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0, told
    key = (home / "vllm" / "key").read_text()
    assert len(key) > 20 and (home / "vllm" / "key").stat().st_mode & 0o077 == 0
    assert len(lines) >= 3
    assert key not in "".join(lines) + told
    written = [file for file in lab.folder.rglob("*") if file.is_file() and file.name != "key"]
    assert any(file.name == "log.txt" for file in written)
    assert not [file for file in written if key.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("behaviour", "when"),
    [({"fails": "stuck"}, "Starting to load model"), ({"strays": True}, "Application startup complete")],
)
def test_ctrl_c_while_starting_and_while_asking(lab: Lab, behaviour: dict[str, object], when: str) -> None:
    checkpoint(lab.folder / "m", **behaviour)
    with subprocess.Popen(lab.command(n=100_000), stderr=subprocess.PIPE, text=True) as process:
        wait_for_log(lab.folder / "home", when)
        found = lab.servers()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert len(found) >= 3
    assert are_gone(found, 1)


def wait_for_log(home: Path, words: str) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if any(words in log.read_text() for log in home.glob("vllm/server-*/log.txt")):
            return
        time.sleep(0.01)
    pytest.fail(f"no log says {words!r}")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_leaves_no_server(lab: Lab, number: signal.Signals) -> None:
    checkpoint(lab.folder / "m", strays=True)
    with subprocess.Popen(lab.command(n=100_000), stderr=subprocess.DEVNULL) as process:
        wait_for_log(lab.folder / "home", "Application startup complete")
        found = lab.servers()
        process.send_signal(number)
    assert len(found) >= 3
    assert are_gone(found, 5)


FAILURES = {
    "memory": ["CUDA out of memory", "what helps: a smaller -M max_model_len"],
    "architecture": ["are not supported for now", "a newer one"],
    "port": ["Address already in use", "-M port=0"],
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_crash_while_starting_ends_with_2_and_the_end_of_the_log(lab: Lab, kind: str) -> None:
    checkpoint(lab.folder / "m", fails=kind)
    done = lab.run()
    assert done.returncode == 2
    for words in (*FAILURES[kind], "ended while it started (exit code 1)", "  | (EngineCore pid="):
        assert words in done.stderr
    assert "Traceback (most recent call last):\n" not in done.stderr.replace("  | ", "")[:200]
    assert not lab.out.exists(), "a server that did not come up leaves no empty run behind"
    log = re.search(r"the end of its log, (\S+):", done.stderr)
    assert log is not None and Path(log[1]).is_file()


def test_a_start_that_takes_too_long_is_given_up(lab: Lab) -> None:
    checkpoint(lab.folder / "m", fails="stuck")
    done = lab.run("-M", "start_s=1.5")
    assert done.returncode == 2
    assert "not ready within 1.5 s (-M start_s)" in done.stderr
    assert not lab.servers()


def test_a_crash_while_serving_costs_what_was_asked_and_ends_the_run(lab: Lab) -> None:
    checkpoint(lab.folder / "m", dies_after=30)
    done = lab.run("--concurrency", "4", n=100)
    assert done.returncode == 3
    said = "vLLM has ended (exit code 0): Worker proc VllmWorker-0 died unexpectedly, shutting down executor."
    assert "ended early: 11 samples failed" in done.stderr and said in done.stderr
    rows = lab.rows()
    failed = [row.response for row in rows if row.response.state == "error"]
    assert len(rows) - len(failed) == 30
    assert failed and all(r.fault is not None and r.fault.kind == "transport" for r in failed)
    assert any(said in r.fault.message for r in failed if r.fault is not None)
    checkpoint(lab.folder / "m")
    again = lab.run(n=100)
    assert again.returncode == 2 and "checkpoint" in again.stderr, "standin.json is a file of the checkpoint"


def test_a_run_goes_on_after_a_crash(lab: Lab) -> None:
    checkpoint(lab.folder / "m", dies_after=5)
    assert lab.run("--concurrency", "2").returncode == 3
    assert len({row.id for row in lab.rows() if row.response.state == "ok"}) == 5
    assert lab.run("--concurrency", "2").returncode == 3
    assert len({row.id for row in lab.rows() if row.response.state == "ok"}) == 10
    assert lab.run("--concurrency", "2").returncode == 0


def test_a_kept_server_is_found_again_until_it_is_killed(lab: Lab) -> None:
    checkpoint(lab.folder / "m")
    first = lab.run("--keep-server")
    assert first.returncode == 0, first.stderr
    kept = lab.servers()
    assert len(kept) == 3
    pid = re.search(r"kill (\d+)", first.stderr)
    assert pid is not None
    assert int(pid[1]) in kept
    second = lab.run(out=lab.folder / "second")
    assert second.returncode == 0, second.stderr
    assert "using the server kept for" in second.stderr and "loading" not in second.stderr
    assert sorted(lab.servers()) == sorted(kept), "it is not the second run's to stop"
    other = lab.run("-M", "dtype=float32", out=lab.folder / "other")
    assert other.returncode == 0 and "using" not in other.stderr
    assert sorted(lab.servers()) == sorted(kept)
    os.kill(int(pid[1]), signal.SIGTERM)
    assert are_gone(kept, 2)
    third = lab.run(out=lab.folder / "third")
    assert third.returncode == 0 and "starting vLLM" in third.stderr


def test_a_kept_server_of_other_weights_is_refused(lab: Lab) -> None:
    folder = checkpoint(lab.folder / "m")
    assert lab.run("--keep-server").returncode == 0
    (folder / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{} ")
    done = lab.run(out=lab.folder / "second")
    assert done.returncode == 2
    assert re.search(r"weights have changed since, but not in the server kept for .* kill \d+", done.stderr)


def test_a_kept_server_that_ends_is_told(lab: Lab) -> None:
    checkpoint(lab.folder / "m", dies_after=15)
    assert lab.run("--keep-server").returncode == 0
    done = lab.run("--concurrency", "2", out=lab.folder / "second")
    assert done.returncode == 3
    assert "the server that was kept has ended: Worker proc VllmWorker-0 died" in done.stderr


def test_ctrl_c_leaves_a_server_that_is_to_be_kept(lab: Lab) -> None:
    checkpoint(lab.folder / "m")
    command = lab.command("--keep-server", n=100_000)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not lab.out.exists() or (lab.out / "journal.jsonl").stat().st_size == 0:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "is the server kept for" in told
    assert len(lab.servers()) == 3


def test_a_port_that_is_taken(lab: Lab) -> None:
    checkpoint(lab.folder / "m")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = lab.run("-M", f"port={port}")
        assert done.returncode == 2
        assert f"port {port} is taken by another program: give another" in done.stderr
    first = lab.run("-M", f"port={port}", "--keep-server")
    assert first.returncode == 0, first.stderr
    done = lab.run("-M", f"port={port}", "-M", "dtype=float16", out=lab.folder / "second")
    assert done.returncode == 2
    assert f"port {port} is taken by the server kept for" in done.stderr


def test_a_model_that_takes_less_than_its_files_say_is_refused_before_work(lab: Lab) -> None:
    checkpoint(lab.folder / "m", takes=["image"])
    done = lab.run()
    assert done.returncode == 2
    assert re.search(r"the server at http://127\.0\.0\.1:\d+: it does not take video: At most 0", done.stderr)
    assert not lab.servers()
    done = lab.run("-M", "inputs=text,image")
    assert done.returncode == 0, done.stderr


def test_a_server_that_answers_with_pages_is_told_per_sample(lab: Lab) -> None:
    checkpoint(lab.folder / "m", html=True)
    done = lab.run("-M", "retries=0", "-M", "inputs=text")
    assert done.returncode == 3
    assert {row.response.fault.kind for row in lab.rows() if row.response.fault} == {"garbage"}
    assert re.search(r"http://127\.0\.0\.1:\d+/v1", done.stderr)


def test_vllm_that_is_not_there_or_too_old(lab: Lab, tmp_path: Path) -> None:
    checkpoint(lab.folder / "m")
    lab.python = environment(tmp_path / "old", version="0.6.3")
    old = lab.run()
    assert old.returncode == 2
    assert re.search(
        r"vLLM 0\.6\.3 in .* is too old: 0\.10 is the oldest .*pip install --upgrade vllm", old.stderr
    )
    lab.python = Path(sys.executable)
    none = lab.run()
    assert none.returncode == 2
    assert "vLLM is not installed in" in none.stderr and "-M python=ENVIRONMENT/bin/python" in none.stderr
    lab.python = tmp_path / "nowhere"
    assert "option python: no such file" in lab.run().stderr
    lab.python = Path("/bin/true")
    assert "is not an interpreter that works" in lab.run().stderr
    lab.python = environment(tmp_path / "new")
    omni = lab.run("-M", "omni=true")
    assert omni.returncode == 2 and "vLLM-Omni is not installed in" in omni.stderr


def test_omni_adapters_and_further_arguments_reach_the_server(lab: Lab, tmp_path: Path) -> None:
    checkpoint(lab.folder / "m")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 8}')
    lab.python = environment(tmp_path / "omni", omni=True)
    more = ["-M", f"lora=mine={adapter}", "-M", "omni=true", "-M", "args=--max-num-seqs 4"]
    with subprocess.Popen(lab.command(*more, n=100_000), stderr=subprocess.PIPE, text=True) as process:
        wait_for_log(lab.folder / "home", "Application startup complete")
        lines = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in lab.servers()]
        while not lab.out.exists() or not lab.rows():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert any("-m vllm_omni.entrypoints.cli.main serve" in line and "--omni" in line for line in lines)
    assert any("--max-num-seqs 4 --port" in line for line in lines)
    assert lab.rows()[0].response.model == "mine"


def test_another_option_is_not_this_providers(lab: Lab) -> None:
    checkpoint(lab.folder / "m")
    done = subprocess.run([*lab.command(), "-M", "keep=true"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "did you mean 'keep_server'" in done.stderr


def test_the_bench_measures_what_is_added(lab: Lab) -> None:
    bench = Path(__file__).parents[3] / "bench" / "managed_server.py"
    words = [sys.executable, str(bench), str(checkpoint(lab.folder / "m")), "--python", str(lab.python)]
    done = subprocess.run([*words, "--runs", "1"], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1: above the target, on a busy machine
    rows = [line.split()[:3] for line in done.stdout.splitlines()]
    assert ["added", "together"] in [row[:2] for row in rows]
    assert not done.stderr
