"""What is committed of measurements and storms, and where: costs, how well they predicted, what storms came to.

Reads and writes the two files; never measures and never simulates.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.scale.model import Costs, Resource, Unit

HERE = Path(__file__).parent
COSTS_FILE = HERE / "costs.json"
STORMS_FILE = HERE / "storms.json"


class Check(msgspec.Struct, frozen=True):
    """A prediction beside what was measured."""

    setup: str
    run: str
    resource: str
    predicted: float
    measured: float


class MemoryMeasured(msgspec.Struct, frozen=True):
    """When memory was measured, which can be measured anew alone: date, load before and after, rounds."""

    when: str
    load: str
    rounds: int


class Measured(msgspec.Struct, frozen=True):
    """One measurement: the machine, the costs of each set-up, and the checks.

    Attributes:
        when: its date.
        machine: facts of it.
        load: the load of the machine before and after.
        rounds: of which medians were taken.
        costs: by set-up, resource and unit.
        checks: the predictions.
        memory: when memory of gateways was measured; None where it was not yet.
    """

    when: str
    machine: dict[str, str]
    load: str
    rounds: int
    costs: dict[str, dict[str, dict[str, float]]]
    checks: list[Check]
    memory: MemoryMeasured | None = None

    def costs_of(self, setup: str) -> Costs:
        """The costs of one set-up."""
        return {
            Resource(resource): {Unit(unit): cost for unit, cost in each.items()}
            for resource, each in self.costs[setup].items()
        }


class StormRecord(msgspec.Struct, frozen=True):
    """One storm: what was set, and what came of it."""

    what: str
    clients: int
    nodes: int
    shards: int
    arrivals_limit: int
    longest_s: float
    client: str
    back: int
    seconds_until: dict[int, float]
    attempts: int
    peak_refused: int
    most_arriving: int
    given_up: int
    redis_share: float


class Storms(msgspec.Struct, frozen=True):
    """All storms of one run, and what a reconnect costs in them, in microseconds of a gateway and of Redis."""

    gateway_us: float
    redis_us: float
    storms: list[StormRecord]


def read_costs(file: Path = COSTS_FILE) -> Measured:
    """Read the committed costs."""
    return msgspec.json.decode(file.read_bytes(), type=Measured)


def read_storms(file: Path = STORMS_FILE) -> Storms:
    """Read the committed storms."""
    return msgspec.json.decode(file.read_bytes(), type=Storms)


def write(record: Measured | Storms, file: Path) -> None:
    """Write a record as it is committed."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
