"""After `warm_up` nothing is compiled any more, whatever comes: a worker that stood still for seconds would lose its partitions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CODE = """
import random, sys
from numba.core.dispatcher import Dispatcher
from streams.warm import warm_up

def compiled():
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("streams.")]
    loops = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)}
    return {one.py_func.__qualname__: len(one.signatures) for one in loops.values()}

warm_up()
before = compiled()
from tests.benchmarks import steps
from tests.streams import test_surges
from tests.streams.world import World, run_detect
steps.detected(steps.make_records(None, 3_000))
for seed in range(3):
    for partition, partials in enumerate(World(seed).partials):
        run_detect(partials, partition, 2, random.Random(seed))
test_surges.test_state_stays_under_its_caps_and_an_evicted_term_is_not_deemed_new()
later = {name: count for name, count in compiled().items() if count != before.get(name)}
print(len(before), later)
"""


def test_nothing_is_compiled_after_the_warm_up() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    count, later = done.stdout.split(maxsplit=1)
    assert int(count) > 30
    assert later.strip() == "{}"
