"""TLS: a gateway behind a certificate is reached when the certificate is trusted, and not otherwise."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from messageflow import GatewayUnreachable
from messageflow.client_io.sockets import get_system_tls
from tests.publisher.conftest import Face
from tests.publisher.scripted import ScriptedServer


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path = tmp_path / "gateway.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, form, nothing))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ScriptedServer(tls=context) as server:
        yield server


@pytest.fixture
def trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    get_system_tls.cache_clear()
    yield
    get_system_tls.cache_clear()


@pytest.mark.usefixtures("trust")
def test_trusted_gateway_is_reached_over_one_connection(face: Face, secure: ScriptedServer) -> None:
    flow = face.make(secure.url)
    assert [face.call(flow, "push", "alice", "t").offset for _ in range(3)] == [7, 7, 7]
    assert [request.connection for request in secure.requests] == [1, 1, 1]
    face.close(flow)


def test_gateway_that_is_not_trusted_is_not_spoken_to(face: Face, secure: ScriptedServer) -> None:
    with pytest.raises(GatewayUnreachable, match="certificate is not trusted"):
        face.call(face.make(secure.url), "push", "alice", "t")
    assert secure.requests == []
    assert secure.connections == 1
