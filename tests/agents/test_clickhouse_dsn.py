from __future__ import annotations

import pytest

from agents.clickhouse_dsn import Target, parse_dsn
from schemas.errors import ConfigurationError


@pytest.mark.parametrize(
    ("expected", "dsn"),
    [
        (Target(path="build/clickhouse"), "chdb://build/clickhouse"),
        (Target(path="/var/lib/drumbeat"), "chdb:///var/lib/drumbeat"),
        (Target(path="/a b", database="x"), "chdb:///a%20b?database=x"),
        (Target(host="ch", port=8123), "clickhouse://ch"),
        (Target(host="ch", port=8443, secure=True), "clickhouses://ch"),
        (Target(host="ch", port=80, username="u", password="p:@/"), "http://u:p%3A%40%2F@ch:80"),
        (Target(host="::1", port=8443, secure=True, database="db"), "https://[::1]/db"),
        (Target(host="ch", port=8443, secure=True, tls=(("ca_cert", "/ca.pem"),)), "clickhouses://ch?ca_cert=/ca.pem"),
    ],
)
def test_a_dsn_says_where_and_as_whom(expected: Target, dsn: str) -> None:
    assert parse_dsn(dsn) == expected


@pytest.mark.parametrize(
    ("said", "dsn"),
    [
        ("expected chdb", ""),
        ("expected chdb", "mysql://u:hush@h/db"),
        ("expected chdb", "clickhouse://"),
        ("directory", "chdb://"),
        ("Port", "clickhouse://u:hush@h:99999/db"),
        ("use letters", "clickhouse://u:hush@h/db`; DROP"),
        ("unknown option", "clickhouse://u:hush@h/db?readonly=1"),
    ],
)
def test_a_wrong_dsn_is_one_clear_line_without_the_password(said: str, dsn: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        parse_dsn(dsn)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_neither_repr_nor_text_nor_a_masked_message_holds_the_password() -> None:
    target = parse_dsn("clickhouse://u:hush@h/db")
    assert "hush" not in f"{target!r} {target} {target.masked('refused: hush')}"
