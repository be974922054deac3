"""The supervisor: whatever becomes of the run, its server and all that it started end."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from vllm_lab import are_gone, processes

from eval_anything.models.vllm import supervisor

# Starts a child that ignores SIGTERM and, as some engines do, leaves group and session and loses its parent.
SERVER = """
    import os, signal, subprocess, sys, time
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}, {sys.argv[1]!r}],"
    subprocess.run([sys.executable, "-c", start + "start_new_session=True)"], check=True)
    subprocess.Popen([sys.executable, "-c", code, sys.argv[1]])
    if sys.argv[2] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    if sys.argv[2].isdigit():
        sys.exit(int(sys.argv[2]))
    if sys.argv[2] == "abort":
        os.abort()
    time.sleep(600)
"""


def supervised(folder: Path, how: str = "wait", *, grace_s: float = 5.0) -> "subprocess.Popen[bytes]":
    """A supervisor over a server with two descendants, all up."""
    log = folder / "log.txt"
    command = [sys.executable, "-c", textwrap.dedent(SERVER), str(folder), how]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor.__file__, str(log), str(grace_s), *command],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    while not log.exists() or "up" not in log.read_text():
        time.sleep(0.01)
    return process


def marked(folder: Path, least: int = 4) -> list[int]:
    found = processes(str(folder))
    assert len(found) >= least, "supervisor, server, its child, and the one that went away"
    return found


def test_it_ends_everything_when_standard_input_closes(tmp_path: Path) -> None:
    with supervised(tmp_path) as process:
        found = marked(tmp_path)
        process.stdin.close()
        assert process.wait(10) == 0
    assert are_gone(found, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_everything_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path) as process:
        found = marked(tmp_path)
        process.send_signal(number)
        assert process.wait(10) == 0
    assert are_gone(found, 1)


def test_a_server_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    with supervised(tmp_path, "stubborn", grace_s=0.5) as process:
        found = marked(tmp_path)
        began = time.monotonic()
        process.stdin.close()
        assert process.wait(10) == 0
        assert 0.5 <= time.monotonic() - began < 5
    assert are_gone(found, 1)


@pytest.mark.parametrize(("how", "code"), [("0", 0), ("3", 3), ("abort", 128 + signal.SIGABRT)])
def test_a_server_that_ends_is_told_by_the_exit_code_and_leaves_nothing(
    tmp_path: Path, how: str, code: int
) -> None:
    with supervised(tmp_path, how) as process:
        assert process.wait(10) == code
    assert not processes(str(tmp_path))


def test_a_kept_server_outlives_who_started_it(tmp_path: Path) -> None:
    with supervised(tmp_path) as process:
        found = marked(tmp_path)
        process.stdin.write(b"keep\n")
        process.stdin.close()
        time.sleep(1.5)  # longer than it takes to look whether the parent is still there
        assert set(found) <= set(processes(str(tmp_path)))
        os.kill(process.pid, signal.SIGTERM)
        process.wait(10)
    assert are_gone(found, 1)


def test_a_killed_supervisor_takes_the_server_along(tmp_path: Path) -> None:
    with supervised(tmp_path) as process:
        server = next(pid for pid in marked(tmp_path) if pid != process.pid)
        parent = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
        assert parent == process.pid
        found = processes(str(tmp_path))
        process.kill()
    assert are_gone([server], 5)
    for pid in found:  # what had left the group has nobody to end it any more
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_a_command_that_cannot_be_run_is_said_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    command = [sys.executable, "-I", "-S", supervisor.__file__, str(log), "1", str(tmp_path / "nothing")]
    done = subprocess.run(command, stdin=subprocess.PIPE, check=False)
    assert done.returncode == 127
    assert "cannot be run: No such file" in log.read_text()
