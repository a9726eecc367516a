"""`pip install messageflow-push`: three libraries, and everything a publisher does."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from messageflow.core.token_keys import Key
from messageflow.core.token_verifier import Verifier
from messageflow.extras import DISTRIBUTION, LIBRARIES
from tests.core.token_forge import private_key, public_pem
from tests.installing.without import PUBLISHERS, command, only, run
from tests.support import API_KEY, TOKEN_SECRET, running

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = {"PyJWT": "jwt", "pyzmq": "zmq"}

PUSH = """
import asyncio, sys
from messageflow import AsyncFlow, Flow
with Flow() as flow:
    print(flow.push("alice", "t", {"n": 1}).offset, flow.token("alice"))
    with flow.batch() as batch:
        batch.push("alice", "t", 2)
async def main():
    async with AsyncFlow() as flow:
        print((await flow.push("alice", "t", 3)).offset)
asyncio.run(main())
print(*sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


def names(requirements: list[str]) -> set[str]:
    """The modules that some requirements bring."""
    found = {re.split(r"[^\w-]", each)[0] for each in requirements}
    return {MODULES.get(name, name.replace("-", "_")) for name in found}


def test_the_publisher_brings_three_libraries() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert names(PROJECT["dependencies"]) == set(PUBLISHERS)


def test_every_library_is_in_the_extra_that_a_message_names() -> None:
    extras = PROJECT["optional-dependencies"]
    for library, extra in LIBRARIES.items():
        brought = names(extras[extra]) | ({"hiredis"} if "redis[hiredis]" in str(extras[extra]) else set())
        assert library in brought, f"{library} is not in {extra}"
    for extra in ("gateway", "redis", "demo", "zeromq"):
        assert names(extras[extra]) - {"messageflow_push"} <= LIBRARIES.keys(), "no message says how to install it"


def test_it_pushes_and_makes_tokens(tmp_path: Path) -> None:
    with running(("serve", "--broker", "memory"), tmp_path) as gateway:
        environment = {
            "MESSAGEFLOW_URL": gateway.url,
            "MESSAGEFLOW_API_KEY": API_KEY,
            "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET,
        }
        ran = run([sys.executable, "-c", only(*PUBLISHERS) + PUSH], environment.items())
    assert ran.returncode == 0, ran.stderr
    first, third, loaded = ran.stdout.splitlines()
    offset, token = first.split()
    assert (offset, third) == ("1", "3")
    assert Verifier([Key("HS256", TOKEN_SECRET.encode())]).connection(token, _made(token)).user == "alice"
    assert {name for name in loaded.split() if "cython" not in name} == {"__main__", "messageflow", *PUBLISHERS}


def _made(token: str) -> float:
    import jwt

    return float(jwt.decode(token, options={"verify_signature": False})["iat"])


def test_public_keys_say_what_to_install() -> None:
    pem = public_pem(private_key("EdDSA"))
    program = f"from messageflow.core.token_keys import load_keys\nload_keys(['s' * 32])\nload_keys([], [{pem!r}])"
    ran = run([sys.executable, "-c", only(*PUBLISHERS) + program])
    assert ran.stderr.splitlines()[-1] == (
        "messageflow.errors.ConfigurationError: token public key number 1 needs the library cryptography, which is not "
        "installed: pip install 'messageflow-push[gateway]'"
    )


@pytest.mark.parametrize("name", ["serve", "run", "push", "demo", "token", ""])
def test_a_command_without_the_extra_says_what_to_type(name: str) -> None:
    ran = run(command(only(*PUBLISHERS), [name] if name else []))
    asked = f"messageflow {name}".strip()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"messageflow: `{asked}` needs the library click, which is not installed: "
        "pip install 'messageflow-push[gateway]'\n"
    )


GATEWAY = (
    *(library for library, extra in LIBRARIES.items() if extra == "gateway"),
    *("anyio", "h11", "idna", "sniffio", "typing_extensions", "markdown_it", "mdurl", "pygments", "_cffi_backend"),
)


@pytest.mark.parametrize(
    ("arguments", "lacking", "who"),
    [
        (("serve", "--dev"), "uvicorn", "`messageflow serve`"),
        (("run", "wsgiref.simple_server:demo_app"), "uvicorn", "`messageflow run`"),
        (("demo",), "flask", "`messageflow demo`"),
        (("doctor", "--broker", "redis://h"), "redis", "`messageflow doctor`"),
        (("doctor", "--broker", "redis://h"), "hiredis", "`messageflow doctor`"),
        (("push", "a", "t", "--url", "redis://h"), "hiredis", "pushing through Redis"),
        (("serve", "--dev", "--broker", "redis://h"), "hiredis", "a Redis broker"),
        (("serve", "--dev", "--zeromq", "ipc://@a"), "zmq", "the setting zeromq"),
    ],
    ids=str,
)
def test_a_command_that_lacks_one_library_names_it_and_its_extra(
    arguments: tuple[str, ...], lacking: str, who: str, tmp_path: Path
) -> None:
    libraries = {*PUBLISHERS, *GATEWAY, "redis", "hiredis", "flask"} - {lacking}
    ran = run(command(only(*libraries), arguments), {"MESSAGEFLOW_DATA_DIR": str(tmp_path)}.items())
    line = f"pip install 'messageflow-push[{LIBRARIES[lacking]}]'"
    assert ran.returncode == 1
    said = [told for told in ran.stderr.splitlines() if not told.startswith("{")]  # the log has its own
    assert said == [f"messageflow: {who} needs the library {lacking}, which is not installed: {line}"]


def test_an_integration_without_its_framework_says_what_to_install() -> None:
    ran = run([sys.executable, "-c", only(*PUBLISHERS) + "import messageflow.integrations.flask"])
    assert ran.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: messageflow.integrations.flask needs flask, which is not installed: "
        "pip install 'messageflow-push[flask]'"
    )


def test_what_the_application_lacks_is_its_own_affair(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import flask\n")
    prelude = only(*PUBLISHERS, *GATEWAY, "shop")
    paths = {"MESSAGEFLOW_DATA_DIR": str(tmp_path), "PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"}
    ran = run(command(prelude, ["run", "shop:app"]), paths.items())
    assert ran.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'flask'"
