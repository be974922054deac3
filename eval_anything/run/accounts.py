"""What a run's models cost and how fast they may be asked: settled before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable

from eval_anything.errors import UsageError
from eval_anything.prices import Prices
from eval_anything.run.config import RunConfig
from eval_anything.run.endpoint import Endpoint
from eval_anything.run.rates import share_rates


def settle(endpoints: Iterable[Endpoint], config: RunConfig) -> None:
    """Give each endpoint its price, where one is known, and the rate limits of its key.

    Raises UsageError for a file of prices that is none, for rate limits that contradict each other, and where
    --max-cost is to hold for a model without a price.
    """
    endpoints = list(endpoints)
    prices = Prices(config.prices)
    for endpoint in endpoints:
        account = endpoint.account
        endpoint.price = prices.find(endpoint.label, None if account is None else account.server)
    share_rates(endpoints)
    if config.max_cost is None:
        return
    for endpoint in endpoints:
        if endpoint.price is None and endpoint.account is not None:
            spec, server = endpoint.label, endpoint.account.server
            raise UsageError(
                f"--max-cost: no price is known for {spec} at {server}: give it in a file, --prices FILE.yaml"
                f" with `models: {{{spec}: {{input: 0.5, output: 1.5}}}}` in it (dollars a million tokens; 0"
                " where nobody bills)"
            )
