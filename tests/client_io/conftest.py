"""Servers and flows, as the publisher's tests have them."""

from __future__ import annotations

from tests.publisher.conftest import face as face
from tests.publisher.conftest import server as server
from tests.publisher.conftest import strange_machine as strange_machine
