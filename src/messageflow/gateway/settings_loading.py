"""Where settings come from: flags before environment before TOML file before defaults.

Everything unknown or malformed is refused with the name of the option, the value, the source and what was expected;
a misspelt name is answered with the nearest right one. A secret is never repeated in a message.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from messageflow.core.application_variables import APPLICATION_VARIABLES
from messageflow.core.setting_kinds import SECRET_MARK, Kind, Section
from messageflow.errors import ConfigurationError
from messageflow.gateway.misspellings import refuse_unknown
from messageflow.gateway.namespace_tables import read_namespaces
from messageflow.gateway.platform_variables import is_platforms_own
from messageflow.gateway.settings import Settings, default_data_dir

S = TypeVar("S", bound=msgspec.Struct)

PREFIX = "MESSAGEFLOW_"
NOT_OURS = frozenset({PREFIX + name for name in APPLICATION_VARIABLES} | {"MESSAGEFLOW_CONFIG"})
"""Variables of applications and of the command line, which are no settings of a gateway."""


class Option(msgspec.Struct, frozen=True):
    """One setting, as the command line, the environment and the reference page see it.

    Args:
        name: of the field, and of the setting.
        kind: of value.
        meta: its meaning and its range.
        default: None where there is none that can be written down.
        secret: no message may show the value.
        section: where the reference has it.
        nest: the way to the struct that declares it, from field to field; empty: `Settings` itself does.
    """

    name: str
    kind: Kind
    meta: msgspec.Meta
    default: Any
    secret: bool
    section: Section
    nest: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The name of the command line flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def meaning(self) -> str:
        """What the option does, in one phrase."""
        return self.meta.description or ""

    @property
    def expected(self) -> str:
        """Completes the sentence "… must be …", range included."""
        bounds = ((self.meta.ge, "at least"), (self.meta.gt, "more than"), (self.meta.le, "at most"))
        return "".join([self.kind.expected, *(f", {word} {self.kind.show(b)}" for b, word in bounds if b is not None)])

    @property
    def default_text(self) -> str:
        """The default as a person would write it; empty where there is none."""
        return "" if self.default is None else self.kind.show(self.default)

    def read(self, value: object, source: str) -> Any:
        """Return the typed value.

        Args:
            value: text, or what a TOML file holds.
            source: where it stands, for the message.

        Raises:
            ConfigurationError: the value is malformed or out of range.
        """
        try:
            result = self.kind.read(value)
        except (ValueError, OverflowError):
            result = None
        if result is None or not self._within(result):
            shown = "the value given" if self.secret else repr(value)
            raise ConfigurationError(f"{self.name}: {shown} from {source} will not do; it must be {self.expected}")
        return result

    def _within(self, value: Any) -> bool:
        ge, gt, le = self.meta.ge, self.meta.gt, self.meta.le
        return (ge is None or value >= ge) and (gt is None or value > gt) and (le is None or value <= le)


def find_options(settings: type[msgspec.Struct]) -> tuple[Option, ...]:
    """Return what a struct, and the structs it nests, declare as settings: by section, and there as they are declared.

    Raises:
        TypeError: two structs declare settings of one name, or the first of a struct has no section.
    """
    found = sorted(_declared(settings), key=lambda option: list(Section).index(option.section))
    names = [option.name for option in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TypeError(f"declared twice: {', '.join(sorted(twice))}")
    return tuple(found)


def _declared(struct: type[msgspec.Struct], nest: tuple[str, ...] = ()) -> Iterator[Option]:
    hints = get_type_hints(struct, include_extras=True)
    section: Section | None = None
    for field in msgspec.structs.fields(struct):
        notes = get_args(hints[field.name])
        kind = next((note for note in notes if isinstance(note, Kind)), None)
        section = next((note for note in notes if isinstance(note, Section)), section)
        if kind is not None and section is not None:
            meta = next(note for note in notes if isinstance(note, msgspec.Meta))
            default = None if field.default is msgspec.NODEFAULT else field.default
            yield Option(field.name, kind, meta, default, SECRET_MARK in notes, section, nest)
        elif kind is not None:
            raise TypeError(f"{struct.__name__}.{field.name} needs a section")
        elif isinstance(field.default, msgspec.Struct):
            yield from _declared(type(field.default), (*nest, field.name))


OPTIONS = find_options(Settings)


def replace_values(settings: S, **values: object) -> S:
    """Return settings in which some are others, each by its own name, wherever it is declared."""
    nests = {option.name: option.nest for option in find_options(type(settings))}
    for name, value in values.items():
        settings = _replace_at(settings, (*nests.get(name, ()), name), value)
    return settings


def _replace_at(struct: S, way: Sequence[str], value: object) -> S:
    """Return a struct in which the field at the end of a way from field to field is another."""
    field, *rest = way
    if rest:
        value = _replace_at(getattr(struct, field), rest, value)
    return msgspec.structs.replace(struct, **{field: value})


def load_settings(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    toml_path: Path | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of a gateway; flags win over the environment, that over the file, that over the defaults.

    Args:
        flags: values by option name; None, and an empty tuple for a list, mean "not given".
        environ: the environment; an empty variable counts as not set, and so does what a platform puts there.
        toml_path: the configuration file, None for none.
        defaults: values in the place of the settings' own defaults.

    Raises:
        ConfigurationError: a name is unknown, a value malformed, or the file cannot be read.
    """
    return read_settings(Settings(), flags or {}, environ or {}, toml_path, defaults)


def read_settings(
    base: S,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    toml_path: Path | None = None,
    defaults: Mapping[str, object] | None = None,
) -> S:
    """Return settings in which what was given stands in the place of what `base` has. The rest as `load_settings`."""
    options = find_options(type(base))
    environ = {name: value for name, value in environ.items() if not is_platforms_own(name, value)}
    table = _read_toml(toml_path) if toml_path is not None else {}
    channel = table.pop("channel", {})
    names = [option.name for option in options]
    refuse_unknown("option", flags, names)
    refuse_unknown(f"option in {toml_path}", table, [*names, "channel"])
    ours = {n.removeprefix(PREFIX).lower() for n in environ if n.startswith(PREFIX) and n not in NOT_OURS}
    refuse_unknown("environment variable", sorted(ours), names, written=lambda name: PREFIX + name.upper())
    values: dict[str, Any] = {"data_dir": default_data_dir(environ), **(defaults or {})}
    for option in options:
        for given, source in (
            (flags.get(option.name), option.flag),
            (environ.get(option.variable), option.variable),
            (table.get(option.name), str(toml_path)),
        ):
            if given not in (None, (), ""):
                values[option.name] = option.read(given, source)
                break
    return replace_values(base, **values, namespaces=read_namespaces(channel, str(toml_path)))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} is not TOML: {error}") from error
