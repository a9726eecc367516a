"""A limit that is declared in one struct is a flag, a variable, a TOML key and a row of the reference at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import Meta

from messageflow.cli.flags import make_flag
from messageflow.core.setting_kinds import Duration, Size
from messageflow.errors import ConfigurationError
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_docs import reference_page
from messageflow.gateway.settings_loading import find_options, read_settings, replace_values
from messageflow.hub.limits import Limits


class ToyLimits(Limits, frozen=True, kw_only=True):
    """The hub's limits, and one more."""

    patience: Annotated[Duration, Meta(ge=1, description="time for which a toy waits")] = 90.0


class ToySettings(Settings, frozen=True, kw_only=True):
    """The gateway's settings with these limits."""

    limits: ToyLimits = ToyLimits()


OPTIONS = find_options(ToySettings)
PATIENCE = next(option for option in OPTIONS if option.name == "patience")


def test_it_is_a_variable_and_a_key_of_the_file_and_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "messageflow.toml"
    path.write_text('patience = "3m"')
    assert read_settings(ToySettings(), {}, {}).limits.patience == 90
    assert read_settings(ToySettings(), {}, {}, path).limits.patience == 180
    by_variable = read_settings(ToySettings(), {}, {"MESSAGEFLOW_PATIENCE": "2m"}, path)
    assert by_variable.limits == ToyLimits(patience=120)


def test_it_is_a_flag_of_the_command_line() -> None:
    @click.command()
    @make_flag(PATIENCE)
    def command(patience: str) -> None:
        click.echo(read_settings(ToySettings(), {"patience": patience}, {}).limits.patience)

    assert CliRunner().invoke(command, ["--patience", "2m"]).output == "120.0\n"
    assert "time for which a toy waits [90s]" in " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert CliRunner().invoke(command, ["--patience", "0"]).exit_code == 2


def test_it_is_a_row_of_the_reference() -> None:
    assert "| `patience` | duration | `90s` | time for which a toy waits |" in reference_page(OPTIONS)


def test_its_range_is_held() -> None:
    with pytest.raises(ConfigurationError, match=r"patience: .*MESSAGEFLOW_PATIENCE .* at least 1s"):
        read_settings(ToySettings(), {}, {"MESSAGEFLOW_PATIENCE": "0s"})


def test_other_settings_stay_as_they_are() -> None:
    assert [option.name for option in OPTIONS if option is not PATIENCE] == [o.name for o in find_options(Settings)]
    changed = replace_values(ToySettings(), patience=5.0, port=1)
    assert (changed.limits, changed.port) == (ToyLimits(patience=5.0), 1)


class Twice(msgspec.Struct, frozen=True):
    """Two structs with one name."""

    limits: Limits = Limits()
    others: Limits = Limits()


class Homeless(msgspec.Struct, frozen=True):
    """A setting of no section."""

    size: Annotated[Size, Meta(description="of what?")] = 1


@pytest.mark.parametrize(("wrong", "sentence"), [(Twice, "declared twice: .*ping_interval"), (Homeless, "a section")])
def test_a_declaration_that_is_wrong_is_refused_at_once(wrong: type[msgspec.Struct], sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        find_options(wrong)
