"""Settings are read once, checked as a whole, and never show a secret."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from agents.settings import MIN_KEY_BYTES, RawTopic, Settings, load_settings
from schemas.errors import ConfigurationError
from streams import privacy


def test_an_empty_environment_gives_the_local_deployment() -> None:
    assert load_settings({"PATH": "/bin", "HOME": "/"}) == Settings()


def test_every_setting_is_read_from_its_variable() -> None:
    settings = load_settings(
        {
            "DRUMBEAT_KAFKA": "a:9092, b:9093",
            "DRUMBEAT_CLICKHOUSE": "clickhouse://u:p@h:8123/d",
            "DRUMBEAT_PREFIX": "acme",
            "DRUMBEAT_RAW": "bsky:bluesky, toots:mastodon",
            "DRUMBEAT_LISTEN": "[::1]:0",
            "DRUMBEAT_AUTHOR_KEY": "secret enough",
            "DRUMBEAT_LATENESS_MS": "5000",
            "DRUMBEAT_LOG_FORMAT": "json",
        }
    )
    assert settings.kafka == "a:9092, b:9093"
    assert settings.raw_topics == (RawTopic("bsky", "bluesky"), RawTopic("toots", "mastodon"))
    assert (settings.lateness_ms, settings.log_format, settings.author_key) == (5000, "json", "secret enough")
    assert settings.topics.moments == settings.group("moments") == "acme.moments"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DRUMBEAT_KAFKA", "nohost", "host:port"),
        ("DRUMBEAT_KAFKA", "a:9092,b:99999", "b:99999"),
        ("DRUMBEAT_KAFKA", "", "is empty"),
        ("DRUMBEAT_KAFKA", "a:0", "host:port"),
        ("DRUMBEAT_LISTEN", "6066", "host:port"),
        ("DRUMBEAT_PREFIX", "has space", "letters, digits"),
        ("DRUMBEAT_PREFIX", "..", "letters, digits"),
        ("DRUMBEAT_PREFIX", "x" * 201, "at most 200"),
        ("DRUMBEAT_CLICKHOUSE", "mysql://h/d", "chdb://PATH"),
        ("DRUMBEAT_LATENESS_MS", "0", "whole number above 0"),
        ("DRUMBEAT_LATENESS_MS", "-5", "whole number above 0"),
        ("DRUMBEAT_LATENESS_MS", "1.5", "whole number above 0"),
        ("DRUMBEAT_LATENESS_MS", "9" * 5000, "whole number above 0"),
        ("DRUMBEAT_LOG_FORMAT", "xml", "text, json"),
        ("DRUMBEAT_RAW", "topic", "TOPIC:PLATFORM"),
        ("DRUMBEAT_RAW", "topic:myspace", "TOPIC:PLATFORM"),
        ("DRUMBEAT_RAW", ":x", "TOPIC:PLATFORM"),
        ("DRUMBEAT_RAW", "a:x,a:reddit", "twice"),
        ("DRUMBEAT_KAFKA_SECURITY", "SASL_SSL", "needs DRUMBEAT_KAFKA_MECHANISM"),
        ("DRUMBEAT_NO_SUCH_THING", "1", "no such setting"),
        ("DRUMBEAT_AUTHOR_KEY", "", "is empty"),
        ("DRUMBEAT_AUTHOR_KEY", "short", "8 bytes or more"),
        ("DRUMBEAT_AUTHOR_KEY_FILE", "/does/not/exist", "cannot read"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(variable: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as error:
        load_settings({variable: value})
    assert expected in str(error.value)


def test_the_shortest_author_key_is_the_one_that_hashing_takes() -> None:
    assert MIN_KEY_BYTES == privacy.MIN_KEY_BYTES


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(ConfigurationError) as error:
        load_settings({"DRUMBEAT_LATENESS_MS": "x", "DRUMBEAT_LOG_FORMAT": "xml", "DRUMBEAT_TYPO": "1"})
    assert str(error.value).count("; ") == 2


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n", encoding="utf-8")
    assert load_settings({"DRUMBEAT_AUTHOR_KEY_FILE": str(tmp_path / "key")}).author_key == "from a file"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="keep one of them"):
        load_settings({"DRUMBEAT_AUTHOR_KEY_FILE": str(tmp_path / "key"), "DRUMBEAT_AUTHOR_KEY": "two"})


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xfe\x00"])
def test_a_secret_file_without_a_secret_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError, match="DRUMBEAT_AUTHOR_KEY_FILE"):
        load_settings({"DRUMBEAT_AUTHOR_KEY_FILE": str(tmp_path / "key")})


def test_no_secret_shows_in_a_repr_or_in_an_error() -> None:
    secrets = {
        "DRUMBEAT_CLICKHOUSE": "clickhouse://u:hunter2@h/d",
        "DRUMBEAT_AUTHOR_KEY": "hunter2-long-enough",
        "DRUMBEAT_KAFKA_PASSWORD": "hunter2",
    }
    assert "hunter2" not in repr(load_settings(secrets))
    with pytest.raises(ConfigurationError) as error:
        load_settings({**secrets, "DRUMBEAT_CLICKHOUSE": "clickhouse://u:hunter2@h:notaport/d", "DRUMBEAT_LATENESS_MS": "x"})
    assert "hunter2" not in str(error.value)


def test_a_login_reaches_the_client() -> None:
    login = {"MECHANISM": "SCRAM-SHA-256", "USERNAME": "u", "PASSWORD": "p", "SECURITY": "SASL_SSL"}
    options = load_settings({f"DRUMBEAT_KAFKA_{name}": value for name, value in login.items()}).kafka_options()
    assert options["sasl_mechanism"] == "SCRAM-SHA-256"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("u", "p")
    assert isinstance(options["ssl_context"], ssl.SSLContext)


def test_a_certificate_that_cannot_be_read_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="DRUMBEAT_KAFKA_CA"):
        Settings(kafka_security="SSL", kafka_ca="/does/not/exist.pem").kafka_options()


def test_a_source_number_leads_back_to_topic_and_partition() -> None:
    settings = Settings(raw=(RawTopic("a", "x"), RawTopic("b", "reddit")))
    for topic, partition in (("a", 0), ("a", 11), ("b", 0), ("b", 9_999)):
        assert settings.source_partition(settings.source_id(topic, partition)) == (topic, partition)
