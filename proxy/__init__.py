"""camunda-auth-proxy: adds a fresh credential to every request to Camunda 8."""

from importlib.machinery import EXTENSION_SUFFIXES, PathFinder

try:
    from proxy._version import __version__ as __version__  # the build writes it (pyproject.toml)
except ImportError:  # a copy of the source in which no build has run
    __version__ = "0+unknown"


def is_compiled() -> bool:
    """Whether the hot path runs as C, compiled by mypyc from this source; else it is pure Python."""
    spec = PathFinder.find_spec("histogram", __path__)
    return spec is not None and (spec.origin or "").endswith(tuple(EXTENSION_SUFFIXES))
