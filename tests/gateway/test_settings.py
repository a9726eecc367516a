"""Where settings come from, which source wins, and what each mistake is answered with."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from messageflow.errors import ConfigurationError
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_docs import reference_page
from messageflow.gateway.settings_loading import NOT_OURS, OPTIONS, load_settings, replace_values

DURATION = 'a duration: seconds such as 15, or "500ms", "15s", "10m", "1h"'
PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def toml(directory: Path, text: str) -> Path:
    path = directory / "messageflow.toml"
    path.write_text(text)
    return path


def test_without_sources_everything_has_its_default() -> None:
    settings = load_settings({}, {"HOME": "/home/ada"})
    assert (settings.host, settings.port, settings.limits.heartbeat.ping_interval) == ("127.0.0.1", 8000, 15.0)
    assert settings.data_dir == Path("/home/ada/.local/share/messageflow")


def test_data_directory_follows_the_xdg_variable() -> None:
    assert load_settings({}, {"XDG_DATA_HOME": "/data"}).data_dir == Path("/data/messageflow")


def test_flag_wins_over_environment_wins_over_file(tmp_path: Path) -> None:
    path = toml(tmp_path, "port = 1\nping_interval = '1m'\nhistory_limit = 7\n")
    environ = {"MESSAGEFLOW_PORT": "2", "MESSAGEFLOW_PING_INTERVAL": "2m"}
    settings = load_settings({"port": "3"}, environ, path)
    limits = settings.limits
    assert (settings.port, limits.heartbeat.ping_interval, limits.history.history_limit) == (3, 120.0, 7)


def test_flags_not_given_and_empty_variables_count_as_not_set() -> None:
    settings = load_settings({"port": None, "allowed_origins": ()}, {"MESSAGEFLOW_API_KEY": ""})
    assert (settings.port, settings.allowed_origins, settings.api_key) == (8000, (), "")


def test_switch_can_be_turned_off_by_a_flag() -> None:
    settings = load_settings({"require_origin": False}, {"MESSAGEFLOW_REQUIRE_ORIGIN": "true"})
    assert settings.require_origin is False


def test_lists_come_from_arrays_and_from_commas(tmp_path: Path) -> None:
    path = toml(tmp_path, 'token_secret = ["new", "old"]')
    settings = load_settings({}, {"MESSAGEFLOW_ALLOWED_ORIGINS": "https://a.example,https://b.example"}, path)
    assert settings.tokens.token_secret == ("new", "old")
    assert settings.allowed_origins == ("https://a.example", "https://b.example")


def test_variables_of_the_publisher_and_of_others_are_left_alone() -> None:
    environ = dict.fromkeys(NOT_OURS, "x") | {"PATH": "/bin", "MESSAGEFLOWER": "1"}
    assert load_settings({}, environ).port == 8000


SERVICE = "tcp://10.96.7.1:8000"
KUBERNETES = {
    "SERVICE_HOST": "10.96.7.1",
    "SERVICE_PORT": "8000",
    "SERVICE_PORT_HTTP": "8000",
    "PORT": SERVICE,
    "PORT_8000_TCP": SERVICE,
    "PORT_8000_TCP_PROTO": "tcp",
    "PORT_8000_TCP_PORT": "8000",
    "PORT_8000_TCP_ADDR": "10.96.7.1",
    "PORT_53_UDP": "udp://[fd00::7]:53",
    "PORT_53_UDP_ADDR": "fd00::7",
}
DOCKER = {
    "NAME": "/web/messageflow",
    "PORT": "tcp://172.17.0.5:8000",
    "PORT_8000_TCP": "tcp://172.17.0.5:8000",
    "PORT_8000_TCP_ADDR": "172.17.0.5",
    "ENV_PYTHON_VERSION": "3.11.7",
    "ENV_MESSAGEFLOW_API_KEY": "of-the-other-container",
}


@pytest.mark.parametrize("links", [KUBERNETES, DOCKER], ids=["Kubernetes", "Docker"])
@pytest.mark.parametrize("service", ["MESSAGEFLOW_", "MESSAGEFLOW_REDIS_", "MESSAGEFLOW_1_"])
def test_what_a_platform_says_of_services_called_like_us_is_passed_over(links: dict[str, str], service: str) -> None:
    told = {service + name: value for name, value in links.items()}
    plain = load_settings({}, {"HOME": "/"})
    assert msgspec.structs.replace(load_settings({}, {"HOME": "/", **told}), namespaces=plain.namespaces) == plain
    settings = load_settings({"port": "9"}, {**told, "MESSAGEFLOW_PING_INTERVAL": "20s"})
    assert (settings.port, settings.limits.heartbeat.ping_interval) == (9, 20.0)


@pytest.mark.parametrize(
    "environ",
    [
        {"MESSAGEFLOW_PORT": "tcp:8000"},
        {"MESSAGEFLOW_PORT": "http://10.0.0.1:8000"},
        {"MESSAGEFLOW_HOST_PORT": "8000"},
        {"MESSAGEFLOW_NAME": "gateway"},
        {"MESSAGEFLOW_SERVICE": "x"},
        {"MESSAGEFLOW_ENV": "production"},
        {"MESSAGEFLOW_PORT_8000": "x"},
    ],
)
def test_what_only_looks_like_a_platform_is_still_found_out(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="MESSAGEFLOW_"):
        load_settings({}, environ)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"MESSAGEFLOW_PING_INTERVAL": "soon"},
            f"ping_interval: 'soon' from MESSAGEFLOW_PING_INTERVAL will not do; it must be {DURATION}, at least 1s",
        ),
        (
            {"MESSAGEFLOW_PING_INTERVAL": "1ms"},
            f"ping_interval: '1ms' from MESSAGEFLOW_PING_INTERVAL will not do; it must be {DURATION}, at least 1s",
        ),
        (
            {"MESSAGEFLOW_PORT": "70000"},
            "port: '70000' from MESSAGEFLOW_PORT will not do; it must be a whole number, 0 or more, at most 65535",
        ),
        (
            {"MESSAGEFLOW_LOG_FORMAT": "xml"},
            "log_format: 'xml' from MESSAGEFLOW_LOG_FORMAT will not do; it must be one of auto, json, console",
        ),
        (
            {"MESSAGEFLOW_ALOWED_ORIGINS": "x"},
            "unknown environment variable: MESSAGEFLOW_ALOWED_ORIGINS; did you mean MESSAGEFLOW_ALLOWED_ORIGINS?",
        ),
        ({"MESSAGEFLOW_Q": "x"}, "unknown environment variable: MESSAGEFLOW_Q; `messageflow settings` lists them all"),
    ],
)
def test_mistake_in_the_environment_is_named(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, environ)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "unknown option in {path}: prot; did you mean port?"),
        ("port = true", "port: True from {path} will not do; it must be a whole number, 0 or more, at most 65535"),
        (
            "token_secret = ['a,b']",
            "token_secret: the value given from {path} will not do; it must be text, or a list of texts without commas "
            "in them",
        ),
        ("api_key = 7", "api_key: the value given from {path} will not do; it must be text"),
        ("port = ", "the configuration file {path} is not TOML: Invalid value (at end of document)"),
        ("channel = 1", "channel in {path} must be a table such as [channel.without_namespace]"),
        ("[channel.personnal]", "unknown table in [channel] of {path}: personnal; did you mean personal?"),
        (
            "[channel.namespaces]\nname = 'chat'",
            "channel.namespaces in {path} must be written [[channel.namespaces]], once for each",
        ),
        ("[[channel.namespaces]]\npresence = true", "every [[channel.namespaces]] in {path} needs a name of its own"),
        (
            "[[channel.namespaces]]\nname = 'chat'\n[[channel.namespaces]]\nname = 'chat'",
            "every [[channel.namespaces]] in {path} needs a name of its own",
        ),
        (
            "[[channel.namespaces]]\nname = 'chat'\npresense = true",
            "unknown option of namespace chat in {path}: presense; did you mean presence?",
        ),
        (
            "[channel.without_namespace]\nhistory_ttl = 'soon'",
            "history_ttl: 'soon' from channel.without_namespace in {path} will not do; "
            'it must be a duration such as "10m"',
        ),
        (
            "[channel.without_namespace]\nhistory_size = -1",
            "channel.without_namespace in {path}: Expected `int` >= 0 - at `$.history_size`",
        ),
        ("[channel]\npersonal = 7", "channel.personal in {path} must be a table"),
        (
            "[channel.personal]\nallow_publish_for_subscriber = true",
            "channel.personal in {path}: allow_publish_for_subscriber would change nothing: the server "
            "subscribes to these channels and your backend publishes in them. Use a namespace of your own",
        ),
        (
            '[channel.broadcast]\nallow = ["publish"]',
            "channel.broadcast in {path}: allow_publish_for_client would change nothing: the server "
            "subscribes to these channels and your backend publishes in them. Use a namespace of your own",
        ),
        (
            "[[channel.namespaces]]\npattern = 'org-*'\n[[channel.namespaces]]\npattern = 'org-*'",
            "every [[channel.namespaces]] in {path} needs a pattern of its own",
        ),
        (
            "[[channel.namespaces]]\npattern = 'org-*'\nname = 'org'",
            "channel.namespaces in {path}: the one with the pattern 'org-*' has a name too: keep one of them",
        ),
        (
            "[[channel.namespaces]]\npattern = 'org-*-x'",
            "channel.namespaces in {path}: the pattern 'org-*-x' names no namespace: a star stands only at the "
            "end, for any rest: news:*",
        ),
        (
            "[[channel.namespaces]]\npattern = 'chat:*'\n[[channel.namespaces]]\nname = 'chat'",
            "channel.namespaces in {path}: the pattern 'chat:*' and the name 'chat' say the same channels: keep one of "
            "them",
        ),
        (
            "[channel.without_namespace]\n[[channel.namespaces]]\npattern = '*'",
            "channel.namespaces in {path}: the pattern '*' takes every channel that no other namespace does, and "
            "leaves none to [channel.without_namespace]: keep one of them",
        ),
        (
            "[channel.without_namespace]\nallow = ['read']",
            "allow: ['read'] from channel.without_namespace in {path} will not do; it must be a list of some of "
            "subscribe, publish, history, presence",
        ),
        (
            "[[channel.namespaces]]\npattern = 'org-*'\nallow = 'history'",
            "allow: 'history' from namespace org-* in {path} will not do; it must be a list of some of subscribe, "
            "publish, history, presence",
        ),
        (
            "[channel.without_namespace]\nallow_for_subscriber = ['subscribe']",
            "allow_for_subscriber: ['subscribe'] from channel.without_namespace in {path} will not do; it must be a "
            "list of some of publish, history, presence",
        ),
        (
            "[channel.without_namespace]\nallow = ['history']\nallow_history_for_client = false",
            "allow and allow_history_for_client in channel.without_namespace in {path} say the same: keep one of them",
        ),
    ],
)
def test_mistake_in_the_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = toml(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, {}, path)
    assert str(caught.value) == sentence.format(path=path)


def test_file_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigurationError, match=re.escape(f"{path} cannot be read: No such file")):
        load_settings({}, {}, path)


def test_unknown_flag_is_named() -> None:
    with pytest.raises(ConfigurationError, match="unknown option: hots; did you mean host"):
        load_settings({"hots": "x"})


def test_a_secret_is_never_repeated_in_a_message(tmp_path: Path) -> None:
    path = toml(tmp_path, "token_secret = { first = 'hunter2' }")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, {}, path)
    assert "hunter2" not in str(caught.value)


def test_a_secret_given_as_a_public_key_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="token_public_keys: the value given") as refused:
        load_settings({}, {"MESSAGEFLOW_TOKEN_PUBLIC_KEYS": "hunter2" * 5})
    assert "hunter2" not in str(refused.value)


def test_a_file_may_begin_with_the_mark_that_some_editors_leave(tmp_path: Path) -> None:
    path = tmp_path / "messageflow.toml"
    path.write_bytes(b'\xef\xbb\xbfping_interval = "20s"\n')
    assert load_settings({}, {}, path).limits.heartbeat.ping_interval == 20


def test_a_secret_is_not_in_the_repr() -> None:
    settings = replace_values(Settings(), api_key="hunter2", token_secret=("hunter2",))
    assert "hunter2" not in repr(settings) + repr(settings.tokens)


def test_namespaces_have_the_options_of_the_file_and_the_defaults_otherwise(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        """
        [channel.without_namespace]
        history_size = 5
        history_ttl = "1h"
        [[channel.namespaces]]
        name = "chat"
        presence = true
        [channel.personal]
        history_size = 9
        """,
    )
    namespaces = load_settings({}, {}, path).namespaces
    assert (namespaces.default.history_size, namespaces.default.history_ttl) == (5, 3600.0)
    chat = namespaces.options("chat:lobby")
    assert chat is not None
    assert chat.presence
    assert chat.history_size == Settings().namespaces.default.history_size
    assert (namespaces.personal.history_size, namespaces.personal.presence) == (9, True)


def test_patterns_and_rights_in_the_file_are_those_of_tokens(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        """
        [[channel.namespaces]]
        pattern = "org-*"
        allow = ["subscribe", "history"]
        allow_for_subscriber = ["publish"]
        allow_presence_for_client = true
        """,
    )
    options = load_settings({}, {}, path).namespaces.options("org-7:board")
    assert options is not None
    allowed = {name for name in options.__struct_fields__ if name.startswith("allow_") and getattr(options, name)}
    assert allowed == {
        "allow_subscribe_for_client",
        "allow_history_for_client",
        "allow_publish_for_subscriber",
        "allow_presence_for_client",
    }


def test_every_option_has_a_meaning_and_a_default_that_can_be_read_back() -> None:
    for option in OPTIONS:
        assert option.meaning
        if option.default_text:
            assert option.read(option.default_text, "the default") == option.default


def test_every_field_but_the_namespaces_and_the_kind_of_start_is_an_option() -> None:
    of_the_start = {"dev", "spare_ports", "restarts"}
    nests = {name for name in Settings.__struct_fields__ if isinstance(getattr(Settings(), name), msgspec.Struct)}
    nests -= {"namespaces"}
    own = {option.name for option in OPTIONS if not option.nest}
    assert own == set(Settings.__struct_fields__) - nests - {"namespaces", *of_the_start}
    assert {option.nest[0] for option in OPTIONS if option.nest} == nests


def test_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference_page(), "run `make docs`"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "rediss://user:word@host:6380/2?ssl_ca_certs=ca.pem",
        "unix:///run/redis.sock",
        "redis+sentinel://one:26379,two:26379/streams",
        "rediss+cluster://one,two",
        "redis://one redis://two",
    ],
)
def test_a_redis_may_be_named_in_every_way_it_can_be_reached(url: str) -> None:
    assert load_settings({"broker": url}, {}).streams.broker == url


@pytest.mark.parametrize("url", ["redis", "http://one", "redis://one two", "redis+other://one", " "])
def test_what_is_no_broker_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="broker"):
        load_settings({"broker": url}, {})
