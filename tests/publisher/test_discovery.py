"""Which gateway and keys are used: argument over environment over the development file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from messageflow import AsyncFlow, Flow
from messageflow.client_io.http1 import Endpoint
from messageflow.errors import ConfigurationError
from messageflow.publisher.discovery import DevFile, Place, find, find_data_dir, load_dev_file, write_dev_file
from messageflow.publisher.projects import name_own_project


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"MESSAGEFLOW_DATA_DIR": str(tmp_path / "data")}


def leave(
    environ: dict[str, str], url: str = "http://dev", api_key: str = "dev-key", secret: str = "dev-secret"
) -> Path:
    return write_dev_file(url, api_key, secret, find_data_dir(environ))


def test_nothing_known_means_the_default_address(environ: dict[str, str]) -> None:
    place = find(None, None, None, environ)
    assert (place.endpoint.url, place.api_key, place.token_secret) == ("http://127.0.0.1:8000", "", "")


def test_development_file_is_used(environ: dict[str, str]) -> None:
    leave(environ)
    place = find(None, None, None, environ)
    assert (place.endpoint.url, place.api_key, place.token_secret) == ("http://dev", "dev-key", "dev-secret")


@pytest.mark.parametrize("name", ["url", "api_key", "token_secret"])
def test_environment_is_over_the_file_and_argument_over_both(environ: dict[str, str], name: str) -> None:
    leave(environ)
    environ[f"MESSAGEFLOW_{name.upper()}"] = "http://environment"
    arguments: dict[str, str | None] = {"url": None, "api_key": None, "token_secret": None}

    def found() -> dict[str, str]:
        place = find(**arguments, environ=environ)
        return {"url": place.endpoint.url, "api_key": place.api_key, "token_secret": place.token_secret}

    others = {"url": "http://dev", "api_key": "dev-key", "token_secret": "dev-secret"}
    assert found() == {**others, name: "http://environment"}
    arguments[name] = "http://argument"
    assert found() == {**others, name: "http://argument"}


def test_value_that_was_not_left_falls_to_the_default(environ: dict[str, str]) -> None:
    leave(environ, url="", api_key="")
    place = find(None, None, None, environ)
    assert (place.endpoint.url, place.api_key, place.token_secret) == ("http://127.0.0.1:8000", "", "dev-secret")


def test_first_of_several_secrets_signs(environ: dict[str, str]) -> None:
    environ["MESSAGEFLOW_TOKEN_SECRET"] = "new , old"
    assert find(None, None, None, environ).token_secret == "new"


def test_malformed_file_is_not_read_when_nothing_is_missing(environ: dict[str, str]) -> None:
    leave(environ).write_text("{")
    assert find("http://a", "b", "c", environ).api_key == "b"


def test_malformed_file_is_named(environ: dict[str, str]) -> None:
    path = leave(environ)
    path.write_text('{"url": 7}')
    with pytest.raises(ConfigurationError, match=r"dev\.json cannot be understood"):
        find(None, None, None, environ)


def test_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = write_dev_file("http://dev", "key", "secret", tmp_path / "data")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_dev_file(path.parent) == DevFile("http://dev", "key", "secret", project=name_own_project())


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    write_dev_file("http://one", "key", "secret", tmp_path)
    write_dev_file("http://two", "key", "secret", tmp_path)
    assert load_dev_file(tmp_path) == DevFile("http://two", "key", "secret", project=name_own_project())
    assert [path.name for path in tmp_path.iterdir()] == ["dev.json"]


def test_no_file_is_no_gateway(tmp_path: Path) -> None:
    assert load_dev_file(tmp_path) is None


def test_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="MESSAGEFLOW_DATA_DIR"):
        write_dev_file("http://dev", "key", "secret", tmp_path / "file")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MESSAGEFLOW_DATA_DIR": "/own", "XDG_DATA_HOME": "/xdg", "HOME": "/home"}, "/own"),
        ({"XDG_DATA_HOME": "/xdg", "HOME": "/home"}, "/xdg/messageflow"),
        ({"HOME": "/home"}, "/home/.local/share/messageflow"),
    ],
)
def test_data_directory(environ: dict[str, str], expected: str) -> None:
    assert find_data_dir(environ) == Path(expected)


def test_no_secret_shows_when_printed(environ: dict[str, str]) -> None:
    leave(environ)
    shown = repr(find(None, None, None, environ)) + repr(load_dev_file(find_data_dir(environ)))
    assert "dev-key" not in shown
    assert "dev-secret" not in shown


def base_path_of(place: Place) -> str:
    assert isinstance(place.endpoint, Endpoint)
    return place.endpoint.base_path


def test_the_base_path_comes_from_the_argument_the_environment_or_the_file(environ: dict[str, str]) -> None:
    write_dev_file("http://dev", "key", "secret", find_data_dir(environ), base_path="/left/")
    assert base_path_of(find(None, None, None, environ)) == "/left/"
    assert base_path_of(find("http://other", None, None, environ)) == "/messageflow/"
    environ["MESSAGEFLOW_BASE_PATH"] = "/environment/"
    assert base_path_of(find(None, None, None, environ)) == "/environment/"
    assert base_path_of(find("http://other/below", "key", "secret", environ)) == "/environment/"
    assert base_path_of(find(None, None, None, environ, base_path="argument")) == "/argument/"
    assert base_path_of(find("http://other", "key", "secret", environ, base_path="/argument/")) == "/argument/"


@pytest.mark.parametrize("face", [Flow, AsyncFlow])
def test_a_base_path_that_is_none_is_refused_when_the_flow_is_made(face: type[Flow | AsyncFlow]) -> None:
    with pytest.raises(ConfigurationError, match="base_path"):
        face("http://127.0.0.1:8000", base_path="/a b/")
