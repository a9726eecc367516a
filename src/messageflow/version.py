"""The version, as the wire and the command line show it."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("messageflow")
except PackageNotFoundError:  # a source tree that was never installed
    VERSION = "0.0.0"
