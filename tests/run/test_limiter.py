import asyncio

from eval_anything.run.limiter import Limiter


async def hold(limiter: Limiter, seen: list[int], seconds: float = 0.01) -> None:
    async with limiter:
        seen.append(limiter.in_use)
        await asyncio.sleep(seconds)


def test_never_more_in_use_than_places() -> None:
    async def scenario() -> list[int]:
        limiter, seen = Limiter(3), []
        await asyncio.gather(*(hold(limiter, seen) for _ in range(20)))
        assert limiter.in_use == 0
        return seen

    assert max(asyncio.run(scenario())) == 3


def test_slow_down_lowers_the_limit_once_a_round_and_success_raises_it() -> None:
    async def scenario() -> None:
        limiter, loop = Limiter(100), asyncio.get_running_loop()
        sent = loop.time()
        for _ in range(50):
            limiter.slow_down(None, sent)
        assert limiter.limit == 70
        await asyncio.sleep(0.01)
        limiter.slow_down(None, loop.time())
        assert limiter.limit == 49
        for _ in range(10_000):
            limiter.succeeded()
        assert limiter.limit == 100

    asyncio.run(scenario())


def test_retry_after_holds_everybody_back() -> None:
    async def scenario() -> float:
        limiter, loop = Limiter(10), asyncio.get_running_loop()
        began = loop.time()
        limiter.slow_down(0.2, began)
        await asyncio.gather(*(hold(limiter, [], 0) for _ in range(5)))
        return loop.time() - began

    assert asyncio.run(scenario()) >= 0.2


def test_a_cancelled_waiter_gives_its_place_on() -> None:
    async def scenario() -> None:
        limiter = Limiter(1)
        first = asyncio.create_task(hold(limiter, [], 0.05))
        await asyncio.sleep(0)
        waiters = [asyncio.create_task(hold(limiter, [], 0)) for _ in range(5)]
        await asyncio.sleep(0.01)
        for waiter in waiters[:4]:
            waiter.cancel()
        await asyncio.wait_for(asyncio.gather(first, waiters[4]), 2)
        assert limiter.in_use == 0

    asyncio.run(scenario())
