"""Faust agents and everything that touches the world: Kafka, ClickHouse, clocks, environment."""

import os

# Polars gives memory back half a second after it was used, and takes it anew for the next batch: three times the page faults.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:30000,muzzy_decay_ms:30000")
