import asyncio
import socket

import pytest
from servers.openai_server import OpenAIServer, Reply, completion

from eval_anything.errors import GarbageReply, TransportFault, UsageError
from eval_anything.models.openai import connection as module
from eval_anything.models.openai.address import parse_addresses
from eval_anything.models.openai.connection import Connection


async def post(connection, times=1):
    """What `times` concurrent requests end in: replies and errors."""
    return await asyncio.gather(*(connection.post(b"{}") for _ in range(times)), return_exceptions=True)


async def connected(url, timeout_s=5.0, key=""):
    connection = Connection(parse_addresses(url), key, timeout_s)
    await connection.open()
    return connection


def with_server(script, work, **options):
    async def go():
        async with OpenAIServer(script, **options) as server:
            connection = await connected(server.url, options.get("timeout_s", 5.0), "sk-key-of-tests")
            try:
                return await work(server, connection)
            finally:
                await connection.close()

    return asyncio.run(go())


def test_a_reply_is_the_whole_reply():
    async def work(server, connection):
        (reply,) = await post(connection)
        assert reply.status == 200
        assert b'"content": "hi"' in reply.body
        assert reply.server == server.url
        (call,) = server.calls
        assert call.path == "/v1/chat/completions"
        assert call.authorization == "Bearer sk-key-of-tests"
        assert call.headers["Content-Type"] == "application/json"

    with_server("hi", work)


def test_an_error_status_is_a_reply_too():
    async def work(_, connection):
        (reply,) = await post(connection)
        assert (reply.status, reply.headers["X-A"]) == (500, "b")

    with_server(Reply(b"", 500, {"X-A": "b"}), work)


@pytest.mark.parametrize("reply", [Reply(reset=True), Reply(b"x" * 100, cut=10)])
def test_broken_connections_are_transport_faults(reply):
    async def work(server, connection):
        (fault,) = await post(connection)
        assert isinstance(fault, TransportFault)
        assert str(fault).startswith(server.url)

    with_server(reply, work)


def test_a_reply_that_takes_too_long_is_a_transport_fault():
    async def go():
        async with OpenAIServer(Reply(b"{}", slow_s=30)) as server:
            connection = await connected(server.url, timeout_s=0.3)
            (fault,) = await post(connection)
            await connection.close()
        assert isinstance(fault, TransportFault)
        assert "within 0.3 s" in str(fault)

    asyncio.run(go())


def test_redirects_are_not_followed():
    async def work(server, connection):
        (reply,) = await post(connection)
        assert reply.status == 307
        assert len(server.calls) == 1

    with_server(Reply(b"", 307, {"Location": "/elsewhere"}), work)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_reply_that_is_too_large_is_garbage(monkeypatch, chunked):
    monkeypatch.setattr(module, "MAX_REPLY_BYTES", 100_000)
    reply = Reply(b"x" * 200_000, chunked=chunked)

    async def work(_, connection):
        (fault,) = await post(connection)
        assert isinstance(fault, GarbageReply)
        assert "100000" in str(fault)

    with_server(reply, work)


def test_what_is_not_http_is_garbage():
    async def go():
        async def speak(_, writer):
            writer.write(b"SSH-2.0-OpenSSH_9.0\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = await connected(f"http://127.0.0.1:{port}/v1")
        (fault,) = await post(connection)
        assert isinstance(fault, GarbageReply)
        assert "not HTTP" in str(fault)
        await connection.close()
        server.close()

    asyncio.run(go())


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_nobody_there_is_said_before_any_work():
    for host in ("127.0.0.1", "localhost"):
        port = free_port()
        with pytest.raises(UsageError) as caught:
            asyncio.run(connected(f"http://user:hunter2@{host}:{port}/v1"))
        assert str(caught.value) == (
            f"http://{host}:{port}/v1: connection refused; expected an OpenAI-compatible server there"
        )
    with pytest.raises(UsageError, match="no-such-host"):
        asyncio.run(connected("http://no-such-host.invalid/v1"))


def test_load_goes_to_the_server_with_the_fewest_in_flight():
    async def go():
        async with OpenAIServer("x", latency="0.3") as slow, OpenAIServer("x", latency="0.01") as quick:
            connection = await connected(f"{slow.url},{quick.url}")
            places = asyncio.Semaphore(4)

            async def one():
                async with places:
                    return await connection.post(b"{}")

            replies = await asyncio.gather(*(one() for _ in range(40)))
            await connection.close()
            assert {reply.status for reply in replies} == {200}
            assert slow.count + quick.count == 40
            assert slow.max_in_flight <= 3
            assert quick.count > 3 * slow.count > 0

    asyncio.run(go())


def test_equal_servers_share_equally():
    async def go():
        async with OpenAIServer("x", latency="0.05") as one, OpenAIServer("x", latency="0.05") as other:
            connection = await connected(f"{one.url},{other.url}")
            await post(connection, 20)
            await connection.close()
            assert (one.count, other.count) == (10, 10)

    asyncio.run(go())


def test_a_dead_server_does_not_draw_all_requests():
    async def go():
        async with OpenAIServer(Reply(reset=True)) as dead, OpenAIServer("x") as alive:
            connection = await connected(f"{dead.url},{alive.url}")
            ended = [(await post(connection))[0] for _ in range(20)]
            await connection.close()
            assert sum(isinstance(one, TransportFault) for one in ended) == dead.count == 1
            assert alive.count == 19

    asyncio.run(go())


def test_large_bodies_arrive_whole():
    body = bytes(range(256)) * 20_000

    async def work(server, connection):
        await connection.post(body)
        assert server.calls[0].raw == body

    with_server(lambda _: completion("ok"), work)


def test_many_at_once_are_not_queued():
    async def work(server, connection):
        await post(connection, 150)
        assert server.max_in_flight == 150

    with_server("x", work, latency="0.3")
