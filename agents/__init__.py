"""Faust agents and everything that touches the world: Kafka, ClickHouse, clocks, environment."""
