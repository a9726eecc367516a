"""The version, as the wire, the command line and the package have it."""

VERSION = "0.1.0"
