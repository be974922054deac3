"""Does what `vllm serve` does as far as whoever starts it can tell: its command line, its log, its routes,
the processes that it starts, the ways in which it fails. It computes nothing; it needs no other package.

How it behaves is read from `standin.json` in the checkpoint's folder:

    load_s      seconds until it is ready (0.1)
    fails       how a start ends: "memory", "port", "architecture"; "stuck" never becomes ready
    dies_after  answers after which the engine dies, and the server with it
    takes       the media that it takes (image, video)
    replies     the text of its answers ("yes")
    html        whether it answers questions with a page, as a proxy in front of it would
    strays      whether the engine leaves the server's group and session
    stubborn    whether it ignores SIGTERM
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FAILURES = {
    "memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 24 GiB",
    "architecture": "ValueError: Model architectures ['NewModel'] are not supported for now.",
    "port": "OSError: [Errno 98] Address already in use",
}


def log(what: str, level: str = "INFO", who: str = "APIServer", pid: int = 0) -> None:
    stamp = time.strftime("%m-%d %H:%M:%S")
    line = f"({who} pid={pid or os.getpid()}) {level} {stamp} [standin.py:1] {what}\n"
    sys.stdout.write(line)  # at once: several threads write
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vllm")
    serve = parser.add_subparsers(dest="subparser", required=True).add_parser("serve")
    serve.add_argument("model_tag")
    serve.add_argument("--lora-modules", nargs="+", default=[])
    serve.add_argument("--port", type=int, default=8000)
    valued = "served-model-name host dtype revision max-model-len gpu-memory-utilization tensor-parallel-size"
    valued += " pipeline-parallel-size data-parallel-size limit-mm-per-prompt chat-template tool-call-parser"
    valued += " max-lora-rank max-num-seqs"
    for name in valued.split():
        serve.add_argument(f"--{name}")
    for name in (
        "enable-auto-tool-choice",
        "enable-lora",
        "disable-uvicorn-access-log",
        "enforce-eager",
        "omni",
    ):
        serve.add_argument(f"--{name}", action="store_true")
    return parser.parse_args()


class Engine:
    """A process of its own that does nothing, as vLLM's does the work."""

    def __init__(self, strays: bool) -> None:
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        self.process = subprocess.Popen([sys.executable, "-c", code], start_new_session=strays)
        log("Starting to load model", who="EngineCore", pid=self.process.pid)


def fail(kind: str, engine: Engine) -> None:
    log("EngineCore failed to start.", "ERROR", "EngineCore", engine.process.pid)
    log("Traceback (most recent call last):", "ERROR", "EngineCore", engine.process.pid)
    log(FAILURES[kind], "ERROR", "EngineCore", engine.process.pid)
    print("RuntimeError: Engine core initialization failed. See root cause above.", flush=True)
    os._exit(1)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, args: argparse.Namespace, behaviour: dict[str, Any], engine: Engine) -> None:
        self.args, self.behaviour, self.engine = args, behaviour, engine
        self.names = [args.served_model_name, *(pair.partition("=")[0] for pair in args.lora_modules)]
        self.key = os.environ.get("VLLM_API_KEY", "")
        self.answers = 0
        self.lock = threading.Lock()
        super().__init__((args.host, args.port), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if self.path == "/health":
            self.send(200, b"")
        elif self.allowed() and self.path == "/v1/models":
            self.reply({"object": "list", "data": [{"id": name} for name in self.server.names]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        if self.server.behaviour.get("html"):
            self.send(200, b"<html><body>Bad Gateway</body></html>", "text/html")
        elif body["model"] not in self.server.names:
            self.refuse(404, f"The model `{body['model']}` does not exist.")
        elif missing := self.missing(body):
            self.refuse(400, f"At most 0 {missing}(s) may be provided in one prompt. (parameter={missing})")
        elif self.path == "/tokenize":
            self.reply({"count": 7, "max_model_len": 2048, "tokens": [1] * 7})
        else:
            self.answer(body)

    def answer(self, body: dict[str, Any]) -> None:
        # One after another: what was answered before the engine dies has reached whoever asked.
        with self.server.lock:
            self.server.answers += 1
            if self.server.answers > self.server.behaviour.get("dies_after", 10**9):
                self.die()
            told = {"argv": sys.argv[2:], "keys": sorted(k for k in os.environ if k.endswith("_API_KEY"))}
            text = self.server.behaviour.get("replies", "yes")
            message = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "message": message, "text": text, "finish_reason": "stop"}
            usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
            self.reply({"model": body["model"], "choices": [choice], "usage": usage, "standin": told})

    def die(self) -> None:
        """As when a worker of the engine is killed: this answer is a 500, and then there is nobody."""
        pid = self.server.engine.process.pid
        log("Worker proc VllmWorker-0 died unexpectedly, shutting down executor.", "ERROR", "EngineCore", pid)
        log("RuntimeError: cancelled", "ERROR", "EngineCore", pid)
        self.refuse(500, "EngineCore encountered an issue. See stack trace (above) for the root cause.")
        log("EngineDeadError: EngineCore encountered an issue. See stack trace (above).", "ERROR")
        os._exit(0)

    def missing(self, body: dict[str, Any]) -> str:
        """A medium in the messages that is not taken."""
        taken = self.server.behaviour.get("takes", ["image", "video"])
        for message in body.get("messages", ()):
            for item in message["content"] if isinstance(message["content"], list) else ():
                kind = item["type"].removeprefix("input_").removesuffix("_url")
                if kind != "text" and kind not in taken:
                    return str(kind)
        return ""

    def allowed(self) -> bool:
        right = not self.path.startswith("/v1") or not self.server.key
        if right or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return True
        self.send(401, b'{"error":"Unauthorized"}')
        return False

    def refuse(self, status: int, message: str) -> None:
        error = {"message": message, "type": "BadRequestError", "code": status}
        self.send(status, json.dumps({"error": error}).encode())

    def reply(self, body: dict[str, Any]) -> None:
        self.send(200, json.dumps(body).encode())

    def send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: --disable-uvicorn-access-log is given."""


def main() -> None:
    args = arguments()
    settings = Path(args.model_tag) / "standin.json"
    behaviour = json.loads(settings.read_text()) if settings.is_file() else {}
    if behaviour.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    log("vLLM API server version 0.32.0")
    log("Resolved architecture: LlamaForCausalLM")
    engine = Engine(behaviour.get("strays", False))
    for percent in (0, 50, 100):
        print(f"\rLoading safetensors checkpoint shards: {percent:3}% Completed", end="", flush=True)
        time.sleep(behaviour.get("load_s", 0.1) / 3)
    print(flush=True)
    while behaviour.get("fails") == "stuck":
        time.sleep(1)
    if kind := behaviour.get("fails"):
        fail(kind, engine)
    log(f"Starting vLLM server on http://{args.host}:{args.port}")
    server = Server(args, behaviour, engine)
    print(f"INFO:     Started server process [{os.getpid()}]", flush=True)
    print("INFO:     Application startup complete.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
