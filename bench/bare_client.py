"""The least that any client must do: read, encode, post, read. What a harness is measured against."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
from plugins.bench_tasks import QUESTION


def content(folder: Path, n: int, images: bool) -> Any:
    text = QUESTION.format(n=n)
    if not images:
        return text
    data = base64.b64encode((folder / f"{n}.png").read_bytes()).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    return [image, {"type": "text", "text": text}]


async def main(url: str, folder: Path, places: int, images: bool) -> None:
    numbers = iter(range(int((folder / "count.txt").read_text())))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for n in numbers:
                message = {"role": "user", "content": content(folder, n, images)}
                body = json.dumps({"model": "m", "messages": [message], "temperature": 0.0}).encode()
                headers = {"Content-Type": "application/json"}
                async with session.post(f"{url}/chat/completions", data=body, headers=headers) as reply:
                    answer = json.loads(await reply.read())
                    assert answer["choices"][0]["message"]["content"]

        await asyncio.gather(*(work() for _ in range(places)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "images"))
