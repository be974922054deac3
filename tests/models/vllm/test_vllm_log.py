"""vLLM's log read: lines as vLLM 0.32 writes them, and what is told of them."""

from pathlib import Path

import pytest

from eval_anything.models.vllm import log

CRASHED = """\
(APIServer pid=5) INFO 11-25 22:27:50 [entry.py:140] Starting vLLM server on http://127.0.0.1:18124
(APIServer pid=5) INFO 11-25 22:27:50 [launcher.py:195] Route: /health, Methods: GET
(EngineCore pid=7) ERROR 11-25 22:28:11 [executor.py:315] Worker proc VllmWorker-0 died unexpectedly \
(exit code: None), shutting down executor.
(EngineCore pid=7) ERROR 11-25 22:28:11 [dump_input.py:72] Dumping input data for V1 LLM engine
(EngineCore pid=7) ERROR 11-25 22:28:11 [core.py:1512] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-25 22:28:11 [core.py:1512] RuntimeError: cancelled
(APIServer pid=5) ERROR 11-25 22:28:11 [async_llm.py:906] vllm.v1.exceptions.EngineDeadError: EngineCore \
encountered an issue. See stack trace (above) for the root cause.
INFO:     Finished server process [5]
nanobind: leaked 64 types!
 - leaked type "triton._C.libtriton.ir.location"
/lib/resource_tracker.py:254: UserWarning: resource_tracker: There appear to be 1 leaked object
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


def test_the_reason_is_the_cause_and_not_what_followed(written: Path) -> None:
    written.write_text(CRASHED)
    said = "Worker proc VllmWorker-0 died unexpectedly (exit code: None), shutting down executor."
    assert log.reason(written) == said
    shown = log.end_of(written)
    assert "Finished server process" in shown.splitlines()[-1]
    assert "leaked" not in shown and "Route" not in shown and "Dumping" not in shown


FAILED = [
    (
        "(EngineCore_0 pid=7) ERROR 11-25 22:28:11 [core.py:1] ValueError: Free memory on device cuda:0 "
        "(3.2/4.0 GiB) on startup is less than desired GPU memory utilization (0.9, 3.6 GiB).",
        "gpu_memory",
    ),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "max_model_len"),
    (
        "ValueError: To serve at least one request with the models's max seq len (32768), (4.00 GiB KV cache "
        "is needed, which is larger than the available KV cache memory (1.2 GiB).",
        "max_model_len",
    ),
    ("OSError: [Errno 98] Address already in use", "port=0"),
    ("vllm: error: unrecognized arguments: --enforce-eagre", "vllm serve --help"),
    ("RuntimeError: Failed to infer device type, please set the environment variable", "nvidia-smi"),
    ("ValueError: Model architectures ['X'] are not supported for now.", "newer one"),
    (
        "Value error, User-specified max_model_len (9999) is greater than the derived max_model_len (4096)",
        "smaller",
    ),
    ("ValueError: something that nobody has seen before", ""),
]


@pytest.mark.parametrize(("line", "helps"), FAILED)
def test_known_failures_come_with_what_helps(line: str, helps: str, written: Path) -> None:
    follows = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
    before = "INFO 11-25 22:26:19 [a.py:1] OSError: [Errno 24] can come"
    wrapped = "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig"
    written.write_text(f"{before}\n{wrapped}\n  {line}\n{follows}\n")
    assert log.reason(written) == line.rpartition("[core.py:1] ")[2]
    assert helps in log.advice(written)
    assert bool(helps) == bool(log.advice(written))
    assert log.port_was_taken(written) == ("Address already" in line)


def test_progress_is_followed_as_it_is_written(written: Path) -> None:
    reader = log.LogReader(written)
    assert reader.follow() == "starting vLLM"
    lines = [
        ("INFO 11-25 22:26:19 [model.py:1] Resolved architecture: Llama\n", "reading the checkpoint"),
        ("\rLoading safetensors checkpoint shards:  25% Completed | 1/4", "loading weights, 25 %"),
        (
            "\rLoading safetensors checkpoint shards: 100% Completed | 4/4\nwhatever\n",
            "loading weights, 100 %",
        ),
        ("[kv_cache_utils.py:1] GPU KV cache size: 2,097,152 tokens\n", "reserving memory"),
        ("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  42%|####", "capturing CUDA graphs, 42 %"),
        ("(APIServer pid=5) INFO [entry.py:140] Starting vLLM server on http://x\n", "beginning to listen"),
    ]
    for line, stage in lines:
        with written.open("a") as file:
            file.write(line)
        assert reader.follow() == stage


def test_hostile_and_empty_logs(written: Path) -> None:
    assert log.reason(written) == "its log says nothing"
    assert log.end_of(written) == ""
    written.write_bytes(b"\xff\x1b[31mred\x00\x07\n" + b"x" * 100_000 + b"\n")
    assert log.end_of(written).isascii() is False
    assert "\x1b" not in log.end_of(written)
    assert max(map(len, log.end_of(written).splitlines())) < 400
