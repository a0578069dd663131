"""Operators compute one at a time."""

from __future__ import annotations

import asyncio
import threading

from agents.compute import computed


async def test_two_do_not_compute_at_once() -> None:
    both = threading.Barrier(2)
    met = await asyncio.gather(computed(both.wait, 0.05), computed(both.wait, 0.05), return_exceptions=True)
    assert [type(one) for one in met] == [threading.BrokenBarrierError] * 2


async def test_they_compute_in_the_order_in_which_they_were_asked() -> None:
    order = list[int]()
    await asyncio.gather(*(computed(order.append, number) for number in range(20)))
    assert order == list(range(20))
