"""Whether a certificate and its key can be used, found out before anything else is begun.

What the library says of files that it cannot use is for its own developers; here it becomes a sentence. Owns no
connection and keeps nothing of what it has read.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from messageflow.errors import ConfigurationError


class _Encrypted(Exception):
    """A password is asked for."""


def check_certificate(certificate: Path, key: Path) -> None:
    """Refuse a certificate or a key that no server can use.

    Args:
        certificate: PEM, the whole chain.
        key: PEM, its private key.

    Raises:
        ConfigurationError: says which file, and what is wrong with it.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_password)
    except _Encrypted:
        raise ConfigurationError(
            f"tls_key: {key} is encrypted, and there is nobody to ask for its password: leave it decrypted "
            "(`openssl pkey`), readable by the gateway's user alone"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(
                f"tls_key: {key} is not the key of the first certificate in {certificate}: the chain begins with the "
                "gateway's own"
            ) from None
        raise ConfigurationError(
            f"tls_cert {certificate} and tls_key {key} cannot be used ({error.reason or 'no PEM'}): both are PEM "
            "files, -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"tls_cert {certificate} or tls_key {key} cannot be read: {error.strerror}") from None


def _no_password() -> str:
    raise _Encrypted
