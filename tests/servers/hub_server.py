"""A hub of one data set or one model over a real socket: just what downloading its files takes."""

import hashlib
from collections.abc import Mapping
from typing import Self

from aiohttp import web


class HubServer:
    """Serves `files` as `repository` at commit `commit`, which its branch `main` is at; anything else is 404.

    `kind`: datasets or models.
    """

    def __init__(
        self, repository: str, commit: str, files: Mapping[str, bytes], kind: str = "datasets"
    ) -> None:
        self.kind = kind
        self.repository = repository
        self.commit = commit
        self.files = dict(files)
        self.asked: list[str] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        repo = f"/api/{self.kind}/{self.repository}"
        files = f"/datasets/{self.repository}" if self.kind == "datasets" else f"/{self.repository}"
        app.router.add_get(f"{repo}/revision/{{revision}}", self._info)
        app.router.add_get(f"{repo}/tree/{{revision}}", self._tree)
        app.router.add_get(f"{files}/resolve/{{revision}}/{{name:.*}}", self._file)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def _known(self, request: web.Request) -> None:
        self.asked.append(request.path)
        if request.match_info["revision"] not in (self.commit, "main"):
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})

    async def _info(self, request: web.Request) -> web.Response:
        self._known(request)
        siblings = [{"rfilename": name} for name in self.files]
        return web.json_response({"id": self.repository, "sha": self.commit, "siblings": siblings})

    async def _tree(self, request: web.Request) -> web.Response:
        self._known(request)
        return web.json_response(
            [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.files.items()
            ]
        )

    async def _file(self, request: web.Request) -> web.Response:
        self._known(request)
        content = self.files.get(request.match_info["name"])
        if content is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return web.Response(body=content, headers={"ETag": etag, "X-Repo-Commit": self.commit})
