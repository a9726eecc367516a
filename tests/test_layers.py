"""The layers, the sizes and the names of the house, kept honest."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "messageflow"
MODULES = sorted(SRC.rglob("*.py"))

EVERYWHERE = {"errors", "extras", "version"}
API_SHAPES = {"api.calls", "api.answers", "api.methods"}
MAY_IMPORT = {
    "core": set[str](),
    "dialects": {"core"},
    "brokers": {"core", "brokers.base", "brokers.eager", "brokers.local", "brokers.broker_options"},
    "hub": {"core", "dialects.base", "brokers.base", "brokers.eager"},
    "api": {"core", "brokers.base"},
    "typed": {"core"},
    "handlers": {"core", "typed"},
    "gateway": {"core", "dialects", "hub", "brokers", "api", "handlers", "client_io"},
    "client_io": {"core"},
    "redis_publisher": {"core", "api", "brokers.base", "brokers.redis", "client_io"},
    "publisher": {"redis_publisher", "client_io", "core", *API_SHAPES, "handlers", "typed"},
    "integrations": {"core", "dialects.html", "handlers", "publisher", "typed"},
    "compat": {"publisher", "core"},
    "testing": {
        *("core", "dialects", "hub", "brokers", "api", "handlers", "client_io", "publisher", "gateway", "typed"),
    },
    "cli": {"core", "dialects", "hub", "brokers", "api", "gateway", "publisher", "handlers", "typed"},
    "__init__": {"publisher", "handlers", "typed"},
    "errors": set[str](),
    "extras": set[str](),
    "version": set[str](),
}
PURE = {"core", "dialects"}
IMPURE = {"asyncio", "socket", "ssl", "threading", "time", "random", "os", "logging", "secrets", "subprocess"}

PUBLIC = {"messageflow.Flow", "messageflow.AsyncFlow", "messageflow.Receipt"}

LINES, FUNCTION_LINES, NESTING = 400, 60, 4
STATEMENTS = ast.stmt | ast.excepthandler | ast.match_case  # what holds control flow; no expression does
CONTROL = ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.With | ast.AsyncWith


def layer(path: Path) -> str:
    """The folder under `messageflow`; of a broker the backend too."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return "/".join(parts[:2]) if parts[0] == "brokers" else parts[0]


@cache
def parsed(path: Path) -> ast.Module:
    """The tree of a module, which several tests read and none changes."""
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> list[str]:
    """Return the full names a module imports, those for type checkers alone included."""
    found: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return found


def is_allowed(name: str, own: str) -> bool:
    ours = name.removeprefix("messageflow.")
    if name in PUBLIC:
        ours = "publisher"
    elif ours == name:
        return own not in PURE or name.split(".")[0] not in IMPURE
    # A broker is one backend: it sees the contract and its own package, never another backend.
    allowed = MAY_IMPORT[own.split("/")[0]] | EVERYWHERE | {own.replace("/", ".")}
    return any(f"{ours}.".startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    assert [name for name in imports(path) if not is_allowed(name, layer(path))] == []


def test_the_rule_refuses_what_it_should() -> None:
    assert not is_allowed("asyncio", "core")
    assert not is_allowed("messageflow.brokers.memory.MemoryBroker", "hub")
    assert not is_allowed("messageflow.brokers.memory.MemoryBroker", "brokers/embedded")
    assert is_allowed("messageflow.brokers.embedded.log.StreamLog", "brokers/embedded")
    assert not is_allowed("messageflow.gateway.worker_api.WorkerApi", "publisher")
    assert not is_allowed("messageflow.hub.hub.Hub", "api")
    assert is_allowed("messageflow.errors.BrokerError", "core")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_keeps_to_the_sizes_of_the_house(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, f"{node.name} is long"
            assert nesting(node) <= NESTING, f"{node.name} nests deep"


def nesting(node: ast.AST, depth: int = 0) -> int:
    """Return how deep control flow nests in a function."""
    deeper = depth + isinstance(node, CONTROL)
    chained = [node.orelse[0]] if isinstance(node, ast.If) and is_elif(node) else []
    children = [c for c in ast.iter_child_nodes(node) if isinstance(c, STATEMENTS) and c not in chained]
    return max([deeper, *(nesting(child, deeper) for child in children), *(nesting(each, depth) for each in chained)])


def is_elif(node: ast.If) -> bool:
    return len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)


def loaded(path: Path) -> Iterator[str]:
    """Yield the full names a module imports when it is imported itself."""
    waiting: list[ast.AST] = [parsed(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            waiting.extend(ast.iter_child_nodes(node))


@cache
def module_of(name: str) -> Path | None:
    """The module of ours that holds a name."""
    parts = name.split(".")[1:]
    for end in range(len(parts), 0, -1):
        path = SRC.joinpath(*parts[:end]).with_suffix(".py")
        if path.is_file():
            return path
        if (package := SRC.joinpath(*parts[:end], "__init__.py")).is_file():
            return package
    return None


Graph = dict[str, set[str]]


@cache
def import_graph() -> Graph:
    """Return what each module of ours imports of ours, those for type checkers and in functions included."""
    graph: Graph = {}
    for path in MODULES:
        found = (module_of(name) for name in imports(path) if name.startswith("messageflow."))
        graph[name_of(path)] = {name_of(module) for module in found if module is not None and module != path}
    return graph


def name_of(path: Path) -> str:
    return path.relative_to(SRC).with_suffix("").as_posix().removesuffix("/__init__")


def reachable(graph: Graph, start: str) -> set[str]:
    seen, waiting = set[str](), list(graph.get(start, ()))
    while waiting:
        if (module := waiting.pop()) not in seen:
            seen.add(module)
            waiting += graph.get(module, ())
    return seen


def circles(graph: Graph) -> set[frozenset[str]]:
    """Return the groups of nodes from each of which all others of the group are reached."""
    reached = {each: reachable(graph, each) for each in graph}
    return {frozenset(o for o in reached[each] if each in reached[o]) for each in graph if each in reached[each]}


def folders(graph: Graph) -> Graph:
    """Return which layer imports which; a module of the package itself is a layer of its own."""
    found: Graph = defaultdict(set)
    for module, others in graph.items():
        here = module.partition("/")[0]
        found[here] |= {there for other in others if (there := other.partition("/")[0]) != here}
    return found


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circles(import_graph()) == set()


def test_no_layer_imports_one_that_imports_it() -> None:
    assert circles(folders(import_graph())) == set()


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == {frozenset("abc")}
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == set()
    assert circles(folders({"x/a": {"y/b"}, "y/b": set(), "y/c": {"x/d"}, "x/d": set()})) == {frozenset("xy")}


def test_the_publisher_loads_two_libraries_and_no_more() -> None:
    waiting = [
        *(SRC / "publisher").glob("*.py"),
        SRC / "__init__.py",
        SRC / "core" / "token_verifier.py",
        SRC / "cli" / "entry.py",
    ]
    seen, libraries = set(waiting), set[str]()
    while waiting:
        for name in loaded(waiting.pop()):
            if not name.startswith("messageflow."):
                libraries.add(name.partition(".")[0])
            elif (module := module_of(name)) is not None and module not in seen:
                seen.add(module)
                waiting.append(module)
    assert libraries - sys.stdlib_module_names == {"msgspec", "httptools"}
    layers = {"__init__", "api", "cli", "client_io", "core", "errors", "extras", "handlers", "publisher", "typed"}
    assert {layer(path) for path in seen} == layers


# Folders parallel by design, with the reason: one name in several of them is one role, and a reader is glad of it.
PARALLEL: list[tuple[str, set[str]]] = [
    ("a backend each, with the same parts", {"brokers/embedded", "brokers/redis", "brokers/worker_link"}),
    ("a Redis as gateways find it and as flows do", {"brokers/redis/topology", "redis_publisher"}),
    ("what is kept: the idea, and its place in Redis", {"core", "brokers/redis"}),
    ("what a user of `Flow` is given, named as the idea that it shows", {"core", "publisher"}),
    ("the contract of a seam: `base`", {"brokers", "dialects"}),
    ("a module a command: of a client on the wire, of a person at a terminal", {"hub/commands", "cli"}),
    ("a command of the terminal and what it runs or shows", {"cli", "gateway"}),
    ("a command of the terminal and what it runs or shows", {"cli", "gateway/workers"}),
    ("a command of the terminal and what it runs or shows", {"cli", "api"}),
    ("a command of the terminal and what it runs or shows", {"cli", ""}),
    ("a framework, which has a name of its own", {"integrations", "core"}),
    ("what Django finds by its name", {"integrations/django/templatetags", "integrations/django/management/commands"}),
    ("what Django finds by its name", {"integrations/django/management", "hub"}),
]


def folder(path: Path) -> str:
    """The folder of a module as `PARALLEL` writes it."""
    return "" if path.parent == SRC else path.parent.relative_to(SRC).as_posix()


def module_names() -> Iterator[tuple[str, str]]:
    """Yield the name and folder of every module and package; a module named as its package is the package's own."""
    for path in MODULES:
        if path.stem == "__init__" and path.parent != SRC:
            yield path.parent.name, folder(path.parent)
        elif not path.stem.startswith("__") and path.stem != path.parent.name:
            yield path.stem, folder(path)


def class_names() -> Iterator[tuple[str, str]]:
    """Yield the name and folder of every public class."""
    for path in MODULES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not is_told(node.name, path):
                yield node.name, folder(path)


def is_told(name: str, path: Path) -> bool:
    """Whether a class is called as each framework or ancestor has one: in the module of each, or by Django."""
    ours = {("MessageFlow", "integrations"), ("Flow", "compat")}
    return is_of_django(name, path) or (name, path.parent.name) in ours


def is_of_django(name: str, path: Path) -> bool:
    """Whether Django says how the class is called: one in each module."""
    return (name, path.parent.name) in {("Command", "commands"), ("Migration", "migrations")}


def stand_twice(named: Iterable[tuple[str, str]]) -> set[str]:
    """Return the names that stand twice, in one folder or in two that are not parallel."""
    folders = defaultdict[str, list[str]](list)
    for name, where in named:
        folders[name].append(where)
    return {name for name, places in folders.items() if len(places) > 1 and not are_parallel(places)}


def are_parallel(places: list[str]) -> bool:
    return len(places) == len(set(places)) and any(set(places) <= folders for _, folders in PARALLEL)


def test_no_module_name_stands_twice() -> None:
    assert stand_twice(module_names()) == set()


def test_no_public_class_name_stands_twice() -> None:
    assert stand_twice(class_names()) == set()


def test_the_rule_of_names_finds_what_it_should() -> None:
    assert stand_twice([("Link", "hub"), ("Link", "publisher"), ("Store", "hub")]) == {"Link"}
    assert stand_twice([("Link", "hub"), ("Link", "hub")]) == {"Link"}
    assert stand_twice([("store", "brokers/redis"), ("store", "brokers/embedded")]) == set()
    assert stand_twice([("store", "brokers/redis"), ("store", "brokers/embedded"), ("store", "hub")]) == {"store"}
