"""Every setting of the gateway, by nesting: each struct declares what it uses, once, and this one has them all.

The flags of `messageflow serve`, the `MESSAGEFLOW_*` variables, the keys of the TOML file and docs/settings.md come
out of the declarations, under the names that the fields have. To add a setting to something that is nested here, at
any depth, add a field there and use it; nothing else. What only the gateway as a whole uses is a field of `Settings`
itself.

Holds no logic: `settings_loading` reads the values, `settings_check` refuses what is dangerous.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from messageflow.brokers.broker_options import BrokerOptions
from messageflow.core.gateway_paths import BASE_PATH
from messageflow.core.handshake_headers import USUAL_HEADERS
from messageflow.core.namespaces import Namespaces
from messageflow.core.setting_kinds import Duration, Secret, Secrets, Section, Switch, Text, Whole, choice
from messageflow.dialects.classic import GENERATIONS
from messageflow.errors import ConfigurationError
from messageflow.gateway.front_door.admission_limits import AdmissionLimits
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.gateway_kinds import (
    AllowedOrigins,
    BasePath,
    FilePath,
    HeaderNames,
    Networks,
    WebhookUrl,
    ZeromqAddresses,
)
from messageflow.gateway.token_policy import TokenPolicy
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.hub.hooks import KINDS
from messageflow.hub.limits import Limits

LogFormat = Annotated[str, choice("auto", "json", "console")]
Generation = Annotated[str, choice("off", *GENERATIONS)]
LogLevel = Annotated[str, choice("debug", "info", "warning", "error")]


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
    host: Annotated[Text, Section.LISTENING, Meta(description="address to listen on")] = "127.0.0.1"
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
            "beside an application the gateway has these, `/messageflow.js` and below `/connection/` what it names as "
            "it starts, alone it answers to `/api/<method>`, `/health`, `/ready` and `/metrics` as well"
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
        AllowedOrigins,
        Section.ORIGINS,
        Meta(
            description="origins of pages that may connect, beside those of the gateway's own origin and, with "
            "`--dev`, of any port of this machine; `https://*.example.com` is every name below"
        ),
    ] = ()
    require_origin: Annotated[
        Switch, Meta(description="refuse clients that send no `Origin`, which are programs rather than browsers")
    ] = False

    classic: Annotated[
        Generation,
        Meta(
            description="let browsers of message_flow, cesium_web or baselayer connect at `/websocket`, with its "
            "messages and its tokens (docs/classic.md)"
        ),
    ] = "off"

    client_insecure: Annotated[
        Switch,
        Meta(
            description="for development on this machine alone: let clients connect without a token, and subscribe, "
            "publish and read history and presence in every channel that is not a user's own"
        ),
    ] = False

    # Keys and tokens
    api_key: Annotated[
        Secret, Section.KEYS, Meta(description="the key a backend shows to publish, at least 32 bytes")
    ] = ""

    zeromq: Annotated[
        ZeromqAddresses,
        Meta(
            description="where backends written for message_flow, cesium_web or baselayer push over ZeroMQ "
            "(docs/classic.md): addresses that PUSH sockets connect to, behind `pub+` PUB sockets; one worker listens "
            "there, and who can reach it needs no key; applications read the same variable"
        ),
    ] = ()
    zeromq_public: Annotated[
        Switch, Meta(description="let `zeromq` listen on addresses other than loopback: everybody there may publish")
    ] = False

    # What the application decides
    hooks: Annotated[
        Text,
        Section.HOOKS,
        Meta(
            description="`module:flow`, whose handlers decide for the application, or a module or object whose "
            f"functions are called {', '.join(KINDS)} "
            "(docs/hooks.md); each worker imports it, from the current directory or the path; under `run` handlers "
            "are found without it"
        ),
    ] = ""
    hooks_url: Annotated[
        WebhookUrl,
        Meta(
            description="where an application that runs elsewhere answers, with `flow.webhook`: its handlers are asked "
            "by signed requests (docs/webhook.md), instead of `hooks` and of handlers beside the gateway"
        ),
    ] = ""
    hooks_secret: Annotated[
        Secrets,
        Meta(
            description="what requests to `hooks_url` are signed with, at least 32 bytes, the application's "
            "`MESSAGEFLOW_HOOKS_SECRET` too; of several each signs, so that they can be rotated"
        ),
    ] = ()
    hook_headers: Annotated[
        HeaderNames,
        Meta(
            description="headers of a connection's handshake that the application sees; `cookie` and `authorization` "
            "only where the page is of the gateway's own origin, or where there is no page"
        ),
    ] = USUAL_HEADERS

    # Who believes, limits and keeps: settings of their own
    tokens: TokenPolicy = TokenPolicy()
    streams: BrokerOptions = BrokerOptions()
    limits: Limits = Limits()
    http: HttpLimits = HttpLimits()
    frames: WebSocketLimits = WebSocketLimits()
    admission: AdmissionLimits = AdmissionLimits()

    # Running it
    workers: Annotated[
        Whole,
        Section.RUNNING,
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

    # How it was started, which is no setting.
    dev: bool = False  # for one machine, with keys that were made for it
    spare_ports: int = 0  # how many ports from `port` on may be tried when it is taken
    restarts: bool = False  # when it ends it is begun again at once, as `run --reload` does

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
