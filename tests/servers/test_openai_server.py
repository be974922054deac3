"""The server that the other tests rest on."""

import http.client
import json
import random
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import pytest
from servers import openai_server
from servers.openai_server import Latency, OpenAIServer, Reply, completion, in_thread


def post(url, body=b"{}"):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    connection.request("POST", "/v1/chat/completions", body)
    reply = connection.getresponse()
    return reply.status, reply.read()


def test_scripted_replies_and_recorded_calls():
    with in_thread(OpenAIServer(lambda call: f"you sent {call.body['n']}")) as server:
        status, body = post(server.url, b'{"n": 3}')
        assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "you sent 3")
        assert server.calls[0].body == {"n": 3}


def test_latency_has_the_mean_that_was_asked_for():
    latency = Latency.parse("lognormal:0.4")
    rng = random.Random(0)
    drawn = [latency.draw(rng) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.4, rel=0.02)
    assert min(drawn) > 0
    assert Latency.parse("0.25").draw(rng) == 0.25
    assert Latency.parse("lognormal:1:0.2") == Latency(1, 0.2)


def test_faults_come_in_their_share_and_repeatably():
    def statuses():
        with in_thread(OpenAIServer("x", faults={"429": 0.2, "500": 0.3})) as server:
            return [post(server.url)[0] for _ in range(100)]

    first = statuses()
    assert 8 <= first.count(429) <= 35
    assert 15 <= first.count(500) <= 45
    assert statuses() == first


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(reset=True), ConnectionError),
        (Reply(json.dumps(completion()).encode(), cut=9), http.client.IncompleteRead),
    ],
)
def test_broken_replies_are_broken(reply, error):
    with in_thread(OpenAIServer(reply)) as server, pytest.raises(error):
        post(server.url)


def test_a_slow_body_arrives_whole():
    with in_thread(OpenAIServer(Reply(b"abcd", slow_s=0.05))) as server:
        assert post(server.url) == (200, b"abcd")


def test_as_a_process_it_tells_its_address_and_counts():
    process = subprocess.Popen(
        [sys.executable, openai_server.__file__, "--reply", "hi"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = process.stdout.readline().strip()
        post(url)
        root = url.removesuffix("/v1")
        assert json.load(urllib.request.urlopen(f"{root}/stats"))["requests"] == 1
        assert json.load(urllib.request.urlopen(f"{root}/reset"))["requests"] == 0
    finally:
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()
