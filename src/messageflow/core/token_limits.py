"""What a token may be at most: how long it lives and is, how much it grants, how far its clock may be off.

The application that makes tokens and the gateway that reads them have the same limits, so that what one makes the other
believes. The gateway's `token_lifetime_limit` is a setting, with this default.

Pure.
"""

from __future__ import annotations

LIFETIME_LIMIT = 86_400.0  # seconds; the default of `token_lifetime_limit`
LONGEST_LEEWAY = 30.0  # seconds by which the clocks of the application and the gateway may differ
TOKEN_BYTES = 8192
MOST_GRANTS = 100  # in one token: each is looked at for each channel
