"""The server that the tests of Gemini models rest on: it refuses what the real one refuses."""

import json
import urllib.error
import urllib.request

import pytest
from servers.gemini_server import GeminiServer, generated
from servers.openai_server import in_thread

ROUTE = "/v1beta/models/m:generateContent"
USER = {"role": "user", "parts": [{"text": "x"}]}
CALL = {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}


def post(server, body, route=ROUTE, **headers):
    request = urllib.request.Request(server.url + route, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as fault:
        with fault:
            return fault.code, json.load(fault)


def test_scripted_replies():
    with in_thread(GeminiServer("hi")) as server:
        assert post(server, {"contents": [USER]}) == (200, generated("hi"))
        with urllib.request.urlopen(f"{server.url}/v1beta/models/m", timeout=5) as reply:
            assert json.load(reply)["name"] == "models/m"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "contents is not specified"),
        ({"contents": [USER], "sytemInstruction": {}}, 'Unknown name "sytemInstruction"'),
        ({"contents": [{"role": "system", "parts": []}]}, "valid role"),
        ({"contents": [USER, CALL, USER]}, "must equal"),
        ({"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f"}}]}]}, "must equal"),
        (
            {"contents": [{"role": "user", "parts": [{"file_data": {"file_uri": "x", "mime_type": "y"}}]}]},
            "not in an ACTIVE state",
        ),
    ],
)
def test_wrong_requests_are_refused(body, said):
    with in_thread(GeminiServer()) as server:
        status, reply = post(server, body)
    assert status == 400
    assert said in reply["error"]["message"]


def test_a_wrong_key_is_a_bad_request():
    with in_thread(GeminiServer(key="right")) as server:
        assert post(server, {"contents": [USER]}, **{"x-goog-api-key": "right"})[0] == 200
        status, reply = post(server, {"contents": [USER]}, **{"x-goog-api-key": "wrong"})
    assert (status, reply["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")


def test_a_file_is_processed_before_it_is_ready_and_gone_when_deleted():
    with in_thread(GeminiServer(polls=2)) as server:
        start = {
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": "2",
            "X-Goog-Upload-Header-Content-Type": "text/plain",
        }
        request = urllib.request.Request(f"{server.url}/upload/v1beta/files", b"{}", start)
        with urllib.request.urlopen(request, timeout=5) as reply:
            target = reply.headers["X-Goog-Upload-URL"]
        rest = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
        with urllib.request.urlopen(urllib.request.Request(target, b"hi", rest), timeout=5) as reply:
            name = json.load(reply)["file"]["name"]
        states = []
        for _ in range(2):
            with urllib.request.urlopen(f"{server.url}/v1beta/{name}", timeout=5) as reply:
                states.append(json.load(reply)["state"])
        assert states == ["PROCESSING", "ACTIVE"]
        gone = urllib.request.Request(f"{server.url}/v1beta/{name}", method="DELETE")
        with urllib.request.urlopen(gone, timeout=5) as reply:
            assert json.load(reply) == {}
        assert (server.files, server.deleted) == ({}, [name])
