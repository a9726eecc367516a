"""Every option of the gateway, declared once: name, type, default, meaning.

The flags of `messageflow serve`, the `MESSAGEFLOW_*` variables, the keys of the TOML file and docs/settings.md all
come from this one struct. To add an option, add a field; nothing else.

Holds no logic: `settings_loading` reads the values, `settings_check` refuses what is dangerous.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from messageflow.core.base_path import BASE_PATH
from messageflow.core.channels import Namespaces
from messageflow.core.credentials import LIFETIME_LIMIT
from messageflow.errors import ConfigurationError
from messageflow.gateway import setting_types

Text = Annotated[str, setting_types.TEXT]
Texts = Annotated[tuple[str, ...], setting_types.TEXTS]
Secret = Annotated[str, setting_types.SECRET, "secret"]
Secrets = Annotated[tuple[str, ...], setting_types.SECRETS, "secret"]
Networks = Annotated[tuple[str, ...], setting_types.PROXIES]
Origins = Annotated[tuple[str, ...], setting_types.ORIGINS]
BasePath = Annotated[str, setting_types.BASE_PATH]
PublicKeys = Annotated[tuple[str, ...], setting_types.PUBLIC_KEYS, "secret"]  # what was meant as another may be one
Whole = Annotated[int, setting_types.WHOLE]
Switch = Annotated[bool, setting_types.SWITCH]
Duration = Annotated[float, setting_types.DURATION]
Size = Annotated[int, setting_types.SIZE]
FilePath = Annotated[Path | None, setting_types.PATH]
Engine = Annotated[str, setting_types.BROKER, "secret"]
Ack = Annotated[str, setting_types.choice("os", "disk")]
LogFormat = Annotated[str, setting_types.choice("auto", "json", "console")]
LogLevel = Annotated[str, setting_types.choice("debug", "info", "warning", "error")]


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return where the gateway keeps its files unless told otherwise, as the XDG directories have it.

    None where that is not known: in a container often nobody has said who the user is, and many need no directory.
    """
    environ = os.environ if environ is None else environ
    if base := environ.get("XDG_DATA_HOME"):
        return Path(base) / "messageflow"
    try:
        return Path(environ.get("HOME") or Path.home()) / ".local" / "share" / "messageflow"
    except RuntimeError:
        return None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway was told. Durations are seconds, sizes are bytes."""

    # Listening
    host: Annotated[Text, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Whole, Meta(le=65535, description="port to listen on; 0 takes a free one")] = 8000
    tls_cert: Annotated[FilePath, Meta(description="certificate chain, PEM; together with `tls_key`")] = None
    tls_key: Annotated[FilePath, Meta(description="private key of `tls_cert`, PEM")] = None
    tls_terminated: Annotated[
        Switch,
        Meta(description="a proxy in front ends TLS: allows an address other than loopback without a certificate here"),
    ] = False
    base_path: Annotated[
        BasePath,
        Meta(
            description="what the paths of API, health, ready and metrics begin with: `/messageflow/api/<method>`; "
            "beside an application the gateway has these, `/messageflow.js` and `/connection/websocket` and no other, "
            "alone it answers to `/api/<method>`, `/health`, `/ready` and `/metrics` as well"
        ),
    ] = BASE_PATH
    trusted_proxies: Annotated[
        Networks,
        Meta(
            description="addresses and networks of proxies whose `X-Forwarded-For`, `-Proto` and `-Host`, or "
            "`Forwarded`, are believed"
        ),
    ] = ()

    # Who may connect
    allowed_origins: Annotated[
        Origins,
        Meta(
            description="origins of pages that may connect, beside those of the gateway's own origin and, with "
            "`--dev`, of any port of this machine; `https://*.example.com` is every name below"
        ),
    ] = ()
    require_origin: Annotated[
        Switch, Meta(description="refuse clients that send no `Origin`, which are programs rather than browsers")
    ] = False
    allow_anonymous: Annotated[Switch, Meta(description="let clients connect without a token, as no user")] = False

    # Keys and tokens
    api_key: Annotated[Secret, Meta(description="the key a backend shows to publish, at least 32 bytes")] = ""
    token_secret: Annotated[
        Secrets,
        Meta(
            description="HMAC secrets of user tokens, at least 32 bytes each; the first signs, all verify: "
            "to rotate, put the new one first"
        ),
    ] = ()
    token_public_keys: Annotated[
        PublicKeys,
        Meta(description="public keys of user tokens signed elsewhere (Ed25519, RSA, EC): PEM text or paths"),
    ] = ()
    token_audience: Annotated[Text, Meta(description="what the `aud` claim must hold, when given")] = ""
    token_issuer: Annotated[Text, Meta(description="what the `iss` claim must be, when given")] = ""
    token_lifetime_limit: Annotated[
        Duration, Meta(gt=0, description="tokens that expire later than this from now are refused")
    ] = LIFETIME_LIMIT

    # Life of a connection
    ping_interval: Annotated[Duration, Meta(ge=1, description="time between pings of the gateway")] = 15.0
    pong_timeout: Annotated[Duration, Meta(ge=0.1, description="time a client has to answer a ping (3012)")] = 10.0
    connect_timeout: Annotated[
        Duration, Meta(ge=0.1, description="time a connection has to send its connect command (3502)")
    ] = 10.0
    handshake_timeout: Annotated[Duration, Meta(ge=0.1, description="time a request head has to arrive")] = 5.0

    # Limits
    message_size_limit: Annotated[
        Size,
        Meta(
            description="largest message a client may send (1009); 0 is 1KiB for each of `channels_per_connection`, so "
            "that a page that comes back subscribes to all in one, and at least twice `payload_size_limit` and 64KiB"
        ),
    ] = 0
    payload_size_limit: Annotated[
        Size,
        Meta(
            ge=1024,
            description="largest publication: data and tags over the HTTP API (413), data and the client's info over "
            "a WebSocket (106)",
        ),
    ] = 65536
    fragments_limit: Annotated[Whole, Meta(ge=1, description="most frames one message may be split into")] = 64
    commands_per_second: Annotated[
        Whole,
        Meta(
            description="commands one connection may send a second on average; at once five times that, at least 300, "
            "and always twice `channels_per_connection` and 100 more; 0 is no limit"
        ),
    ] = 50
    channels_per_connection: Annotated[Whole, Meta(ge=1, description="channels one connection may hold")] = 128
    connections_per_user: Annotated[
        Whole, Meta(description="connections one user may hold on a worker (3404, come back later); 0 is no limit")
    ] = 50
    connections_limit: Annotated[Whole, Meta(description="connections a worker takes; 0 is no limit")] = 0
    arrivals_limit: Annotated[
        Whole,
        Meta(
            description="connections that may be coming in at once, from the handshake to the answer of their connect "
            "command; beyond it 503 with `Retry-After`; 0 is no limit"
        ),
    ] = 5000
    unauthenticated_per_address: Annotated[
        Whole, Meta(description="connections one address may hold before they authenticate; 0 is no limit")
    ] = 200
    buffer_high_water: Annotated[
        Size, Meta(ge=1024, description="bytes waiting for a slow reader before it waits for room and catches up")
    ] = 128 * 1024
    buffer_memory: Annotated[
        Size,
        Meta(
            ge=1024**2,
            description="bytes that may wait for all slow readers of a worker together, what they share counted once; "
            "beyond it those with the most are disconnected and resume later (3008)",
        ),
    ] = 256 * 1024**2

    # What the application decides
    hooks: Annotated[
        Text,
        Meta(
            description="module, or `module:object`, whose functions decide for the application: connect, disconnect, "
            "authorize, publish, rpc, event, refresh (docs/hooks.md); each worker imports it, from the current "
            "directory or the path"
        ),
    ] = ""
    hook_timeout: Annotated[
        Duration, Meta(gt=0, description="time a hook has to answer, waiting for its turn included")
    ] = 5.0
    hook_concurrency: Annotated[
        Whole, Meta(ge=1, description="calls of each kind of hook a worker makes at once; others wait in line")
    ] = 64

    # Streams
    broker: Annotated[
        Engine,
        Meta(
            description="what keeps the streams: embedded, in memory and in a file of `data_dir`, so that they outlive "
            "the gateway; memory keeps nothing over a restart; the URL of a Redis or Valkey, so that gateways on many "
            "machines are one"
        ),
    ] = "embedded"
    broker_prefix: Annotated[
        Text, Meta(description="what the names of all keys in Redis begin with; one for each gateway that shares it")
    ] = "messageflow"
    ack: Annotated[
        Ack,
        Meta(
            description="when a push is answered: os once the operating system has it, which outlives the gateway; "
            "disk once it is synced, which outlives a power cut"
        ),
    ] = "os"
    history_limit: Annotated[
        Whole, Meta(ge=1, description="most publications one history reply or one recovery carries")
    ] = 300
    recovery_rate: Annotated[
        Size, Meta(description="bytes of history a worker gives out a second, to all clients together; 0 is no limit")
    ] = 64 * 1024**2
    stream_memory: Annotated[Size, Meta(ge=1024**2, description="memory for the streams of all channels")] = (
        256 * 1024**2
    )
    broker_deadline: Annotated[
        Duration, Meta(gt=0, description="time Redis has to answer; a call that takes longer fails")
    ] = 5.0
    stream_disk: Annotated[
        Size, Meta(ge=1024**2, description="room in the file for the streams of all channels; the longest give way")
    ] = 4 * 1024**3
    reset_damaged: Annotated[
        Switch,
        Meta(description="when the file is damaged, set it aside and begin anew, instead of refusing to start"),
    ] = False
    idempotency_window: Annotated[Duration, Meta(description="time an idempotency key is remembered")] = 600.0

    # Running it
    workers: Annotated[
        Whole,
        Meta(ge=1, description="processes that share the port and the streams; 1 needs no parent process"),
    ] = 1
    data_dir: Annotated[FilePath, Meta(description="directory of the gateway's own files")] = msgspec.field(
        default_factory=default_data_dir
    )
    drain_time: Annotated[
        Duration,
        Meta(
            description="on SIGTERM, time over which many clients are asked to come back elsewhere, at most 1,000 a "
            "second; 0 asks all at once"
        ),
    ] = 10.0
    shutdown_grace: Annotated[
        Duration,
        Meta(ge=1, description="on SIGTERM, time after which the gateway is gone, however many clients are left"),
    ] = 30.0
    log_format: Annotated[LogFormat, Meta(description="auto: console when stderr is a terminal, json otherwise")] = (
        "auto"
    )
    log_level: Annotated[LogLevel, Meta(description="least level that is logged")] = "info"
    metrics_public: Annotated[Switch, Meta(description="serve `/metrics` without the API key")] = False

    # Channels: tables of the TOML file, see docs/settings.md
    namespaces: Namespaces = msgspec.field(default_factory=Namespaces)

    # How it was started, which is no option.
    dev: bool = False  # for one machine, with keys that were made for it
    spare_ports: int = 0  # how many ports from `port` on may be tried when it is taken

    @property
    def own_directory(self) -> Path:
        """The data directory, for callers that cannot do without.

        Raises:
            ConfigurationError: none was given, and this user has no home.
        """
        if self.data_dir is None:
            uid = f" (uid {os.getuid()})" if hasattr(os, "getuid") else ""
            raise ConfigurationError(
                f"there is no data directory: this user{uid} has no home, neither HOME nor an entry "
                "among the users. --data-dir or MESSAGEFLOW_DATA_DIR names one, --broker memory needs none"
            )
        return self.data_dir

    def __repr__(self) -> str:
        """Show where it listens and nothing else: settings hold secrets, and what has a repr ends in a log."""
        return f"<Settings {self.host}:{self.port}>"


SECTIONS = {
    "host": "Listening",
    "allowed_origins": "Who may connect",
    "api_key": "Keys and tokens",
    "ping_interval": "Life of a connection",
    "message_size_limit": "Limits",
    "hooks": "What the application decides",
    "broker": "Streams",
    "workers": "Running it",
}
"""The headings of the reference page, by the first option under each."""
