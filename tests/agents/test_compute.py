"""Operators compute one at a time."""

from __future__ import annotations

import asyncio
import threading

from agents.compute import computed


async def test_operators_compute_one_at_a_time_in_the_order_in_which_they_were_asked() -> None:
    under_way, most, order = [0], [0], list[int]()

    def work(number: int) -> int:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        threading.Event().wait(0.002)
        order.append(number)
        under_way[0] -= 1
        return number

    assert await asyncio.gather(*(computed(work, number) for number in range(20))) == list(range(20))
    assert (most, order) == ([1], list(range(20)))
