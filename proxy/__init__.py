"""camunda-auth-proxy: a fresh credential on every request to Camunda 8."""

__version__ = "0.1.0"
