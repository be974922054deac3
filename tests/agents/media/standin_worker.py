"""A worker that speaks the protocol of audiocraft_worker.py and does as the prompt says; no torch needed."""

import json
import os
import subprocess
import sys
import time
import wave
from pathlib import Path

name, out = sys.argv[1], Path(sys.argv[sys.argv.index("--out") + 1])


def say(message):
    print(json.dumps(message), flush=True)


if name == "no-such-model":
    say({"error": "ValueError: no such model"})
    sys.exit(1)
if name == "dies":
    sys.exit("ImportError: no module named audiocraft")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) if name == "forks" else None
hello = {"audiocraft": "0", "pid": os.getpid(), "child": child.pid if child else 0}
say({"hello": {**hello, "weights_only": os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]}})
if name == "crashes-always":
    sys.exit("out of memory")

for line in sys.stdin:
    request = json.loads(line)
    match request["prompt"]:
        case "error":
            say({"id": request["id"], "error": "RuntimeError: cannot\nmake that"})
        case "garbage":
            print("Downloading: 100%", flush=True)
        case "long":
            print("x" * 2_000_000, flush=True)
        case "other":
            say({"id": request["id"] + 1, "path": "x"})
        case "outside":
            say({"id": request["id"], "path": "/etc/hostname"})
        case "crash":
            print("CUDA error: device-side assert", file=sys.stderr, flush=True)
            os._exit(3)
        case "hang":
            time.sleep(600)
        case "silence":
            (out / "a.wav").write_bytes(b"")
            say({"id": request["id"], "path": str(out / "a.wav")})
        case _:
            path = out / f"{request['id']}.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                frames = round(8000 * request["duration_s"])
                file.writeframes(request["seed"].to_bytes(8, "little") * (frames // 4))
            say({"id": request["id"], "path": str(path)})
