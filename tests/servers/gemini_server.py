"""The Gemini API on a real socket: generateContent, models, and the Files API, with faults to order.

In async tests:      async with GeminiServer("hello") as server: ... server.url ...
In other tests:      with in_thread(GeminiServer("hello")) as server: ...

It refuses requests that the real one refuses: no content, unknown fields and roles, results without their
call, files that are not there or not ready yet.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web
from servers.openai_server import Call, OpenAIServer, Reply, _send

Script = str | Reply | Callable[[Call], "str | dict[str, Any] | Reply"]
_FIELDS = {"contents", "systemInstruction", "tools", "safetySettings", "generationConfig", "labels"}


def generated(*parts: str | dict[str, Any], finish: str | None = "STOP", **reply: Any) -> dict[str, Any]:
    """A reply with one candidate; strings are text parts, `reply` adds fields."""
    content = {
        "role": "model",
        "parts": [{"text": part} if isinstance(part, str) else part for part in parts],
    }
    candidate = {"content": content, "index": 0} | ({"finishReason": finish} if finish else {})
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
        "modelVersion": "gemini-served-001",
        "responseId": "reply-1",
        **reply,
    }


def error(code: int, message: str, *details: dict[str, Any], status: str = "INVALID_ARGUMENT") -> Reply:
    """An error as Google's servers write it."""
    body = {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    return Reply(json.dumps(body).encode(), code, {"Content-Type": "application/json"})


def retry_info(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def invalid_key(message: str = "API key expired. Please renew the API key.") -> Reply:
    """A wrong or expired key is a bad request there."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    return error(400, message, info)


def body_of(call: Call) -> Any:
    """The body in one spelling: field names may come as the API's (inlineData) or as the library's own."""
    return _spelled(call.body)


_VALUES = {"args", "response", "parametersJsonSchema"}
"""Fields whose own fields are the user's."""


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = {name: re.sub(r"_(\w)", lambda found: found.group(1).upper(), name) for name in value}
    return {names[k]: v if names[k] in _VALUES else _spelled(v) for k, v in value.items()}


@dataclasses.dataclass
class Stored:
    """An uploaded file."""

    mime: str
    size: int
    data: bytes = b""
    polls_left: int = 0
    """Times that it is told to be in processing."""


class GeminiServer(OpenAIServer):
    """`script`: the reply's text, a whole Reply, or a function of the Call.

    `check` answers what is asked about the model; None: the model is there. `polls`, `fate`, `expires`: how
    often an uploaded file is still in processing, what becomes of it then, and when it is deleted.
    `upload_fault` and `delete_fault` are sent in place of what an upload and a deletion are answered; `keep`
    keeps the uploaded bytes in `received`.
    """

    def __init__(
        self,
        script: Script = "yes",
        *,
        key: str = "",
        check: Reply | None = None,
        polls: int = 1,
        fate: str = "ACTIVE",
        expires: str = "2100-01-01T00:00:00.000000Z",
        upload_fault: Reply | None = None,
        delete_fault: Reply | None = None,
        keep: bool = False,
    ) -> None:
        """With a `key`, requests without it are refused."""
        super().__init__(lambda call: self._scripted(script, call), gets=True)
        self.files: dict[str, Stored] = {}
        self.deleted: list[str] = []
        self.checks: list[str] = []
        self.uploads = 0
        self.polled = asyncio.Event()
        """Set when somebody has asked whether a file is ready."""
        self.received: dict[str, bytes] = {}
        self.upload_fault = upload_fault
        self.delete_fault = delete_fault
        self._key = key
        self._check = check
        self._polls = polls
        self._fate = fate
        self._expires = expires
        self._keep = keep

    @property
    def url(self) -> str:
        return super().url.removesuffix("/v1")

    def _scripted(self, script: Script, call: Call) -> dict[str, Any] | Reply:
        if self._key and call.headers.get("x-goog-api-key") != self._key:
            return invalid_key("API key not valid. Please pass a valid API key.")
        if wrong := self._wrong(body_of(call)):
            return error(400, wrong)
        said = script(call) if callable(script) else script
        return generated(said) if isinstance(said, str) else said

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith("/upload/"):
            return await self._begin(request)
        if path.startswith("/session/"):
            return await self._receive(request)
        if found := re.fullmatch(r"/v\d\w*/(files/\w+)", path):
            return await self._file(request, found.group(1))
        if request.method == "GET":
            return await _send(request, self._model(request))
        return await super()._answer(request)

    def _model(self, request: web.BaseRequest) -> Reply:
        self.checks.append(request.path)
        if self._key and request.headers.get("x-goog-api-key") != self._key:
            return invalid_key("API key not valid. Please pass a valid API key.")
        name = request.path.partition("/models/")[2]
        told = json.dumps({"name": f"models/{name}", "version": "001"}).encode()
        return self._check or Reply(told, headers={"Content-Type": "application/json"})

    async def _begin(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["X-Goog-Upload-Command"] == "start"
        if self.upload_fault is not None:
            return await _send(request, self.upload_fault)
        self.uploads += 1
        name = f"files/f{self.uploads}"
        size = int(request.headers["X-Goog-Upload-Header-Content-Length"])
        mime = request.headers["X-Goog-Upload-Header-Content-Type"]
        self.files[name] = Stored(mime, size, polls_left=self._polls)
        return web.Response(text="{}", headers={"X-Goog-Upload-URL": f"{self.url}/session/{name}"})

    async def _receive(self, request: web.BaseRequest) -> web.StreamResponse:
        request._client_max_size = 2**33
        name = request.path.removeprefix("/session/")
        file = self.files[name]
        assert int(request.headers["X-Goog-Upload-Offset"]) == len(file.data)
        file.data += await request.read()
        if "finalize" not in request.headers["X-Goog-Upload-Command"]:
            return web.Response(headers={"X-Goog-Upload-Status": "active"})
        assert len(file.data) == file.size
        if self._keep:
            self.received[name] = file.data
        told = {"file": self._told(name)}
        return web.json_response(told, headers={"X-Goog-Upload-Status": "final"})

    async def _file(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if name not in self.files:
            return web.json_response({"error": {"code": 403, "message": "no such file"}}, status=403)
        if request.method == "DELETE":
            if self.delete_fault is not None:
                return await _send(request, self.delete_fault)
            del self.files[name]
            self.deleted.append(name)
            return web.json_response({})
        self.polled.set()
        self.files[name].polls_left -= 1
        return web.json_response(self._told(name))

    def _told(self, name: str) -> dict[str, Any]:
        file = self.files[name]
        return {
            "name": name,
            "mimeType": file.mime,
            "sizeBytes": str(file.size),
            "expirationTime": self._expires,
            "uri": f"{self.url}/v1beta/{name}",
            "state": "PROCESSING" if file.polls_left > 0 else self._fate,
        }

    def _wrong(self, body: dict[str, Any]) -> str:
        """What is wrong with a request, or nothing."""
        if not body.get("contents"):
            return "* GenerateContentRequest.contents: contents is not specified"
        if unknown := set(body) - _FIELDS:
            return f'Unknown name "{min(unknown)}": Cannot find field.'
        open_calls = 0
        for content in body["contents"]:
            results = sum("functionResponse" in part for part in content["parts"])
            if content["role"] not in ("user", "model"):
                return "Please use a valid role: user, model."
            if results != open_calls:
                return "the number of function response parts must equal that of the function call parts"
            open_calls = sum("functionCall" in part for part in content["parts"])
            for part in content["parts"]:
                if wrong := self._wrong_file(part.get("fileData")):
                    return wrong
        return ""

    def _wrong_file(self, data: dict[str, Any] | None) -> str:
        if data is None:
            return ""
        file = self.files.get(data["fileUri"].partition("/v1beta/")[2])
        if file is None or file.polls_left > 0 or data["mimeType"] != file.mime:
            return "The File is not in an ACTIVE state and usage is not allowed."
        return ""
