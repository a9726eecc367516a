"""What the configuration of an application says, and what is wrong with it, by the name of the key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from messageflow import ConfigurationError
from messageflow.integrations.app_settings import ToldSettings, name_settings, read_settings
from tests.support import TOKEN_SECRET


def test_only_what_is_ours_is_read() -> None:
    told: dict[Any, Any] = {
        "SECRET_KEY": "x",
        7: 8,
        "MESSAGEFLOW_URL": "http://gateway",
        "MESSAGEFLOW_TOKEN_TTL": "10m",
    }
    assert read_settings(told) == ToldSettings(url="http://gateway", token_ttl=600.0)
    assert read_settings({"MESSAGEFLOW_TIMEOUT": timedelta(seconds=2)}).timeout == 2.0


def test_a_variable_of_the_gateway_may_stand_there() -> None:
    assert read_settings({"MESSAGEFLOW_LOG_LEVEL": "debug"}, {"MESSAGEFLOW_LOG_LEVEL": ""}) == ToldSettings()


def test_what_is_left_out_is_found_in_the_environment() -> None:
    environ = {"MESSAGEFLOW_TOKEN_TTL": "10m", "MESSAGEFLOW_TOKEN_PATH": "None", "MESSAGEFLOW_HOOKS_PATH": " "}
    assert read_settings({}, environ) == ToldSettings(token_ttl=600.0, token_path=None)
    assert read_settings({"MESSAGEFLOW_TOKEN_TTL": 5}, environ).token_ttl == 5.0
    assert read_settings({}, {"MESSAGEFLOW_REVOKE_ON_LOGOUT": "false"}).revoke_on_logout is False
    with pytest.raises(ConfigurationError, match=r"^MESSAGEFLOW_TOKEN_PATH"):
        read_settings({}, {"MESSAGEFLOW_TOKEN_PATH": "token"})


def test_a_framework_may_write_its_keys_its_own_way() -> None:
    assert read_settings({"messageflow.token_ttl": "10m"}, prefix="messageflow.").token_ttl == 600.0
    with pytest.raises(ConfigurationError, match=r"did you mean messageflow\.token_ttl\?"):
        read_settings({"messageflow.token_tll": "10m"}, prefix="messageflow.")


def test_settings_have_a_short_name() -> None:
    assert name_settings({"url": 1, "MESSAGEFLOW_TIMEOUT": 2}) == {"MESSAGEFLOW_URL": 1, "MESSAGEFLOW_TIMEOUT": 2}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MESSAGEFLOW_TOKEN_TTL", 0),
        ("MESSAGEFLOW_TIMEOUT", "soon"),
        ("MESSAGEFLOW_TOKEN_SECRET", "short"),
        ("MESSAGEFLOW_TOKEN_SECRET", 42),
        ("MESSAGEFLOW_API_KEY", "käse"),
        ("MESSAGEFLOW_HOOKS_SECRET", "whsec_käse"),
        ("MESSAGEFLOW_TOKEN_PATH", "token"),
        ("MESSAGEFLOW_BASE_PATH", "/a b/"),
        ("MESSAGEFLOW_REVOKE_ON_LOGOUT", "no"),
        ("MESSAGEFLOW_TOKEN_TLL", 7),
    ],
)
def test_what_is_wrong_is_said_with_its_name(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{key}") as raised:
        read_settings({key: value})
    assert "short" not in str(raised.value)
    assert "käse" not in str(raised.value)


def test_a_misspelt_key_is_told_its_name() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean MESSAGEFLOW_TOKEN_TTL\?"):
        read_settings({"MESSAGEFLOW_TOKEN_TLL": 7})


@pytest.mark.parametrize(
    ("told", "named"),
    [
        (ToldSettings(url="gateway"), "MESSAGEFLOW_URL"),
        (ToldSettings(token_ttl=1e6), "MESSAGEFLOW_TOKEN_TTL"),
    ],
)
def test_what_makes_no_flow_is_said_with_its_name(told: ToldSettings, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        told.make_flow()


def test_secrets_of_webhooks_are_those_that_were_told() -> None:
    assert ToldSettings(hooks_secret="one, two").find_hooks_secrets() == ("one", "two")
    assert ToldSettings(token_secret=TOKEN_SECRET).find_hooks_secrets() == ()
