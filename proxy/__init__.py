"""camunda-auth-proxy: adds a fresh credential to every request to Camunda 8."""

__version__ = "0.1.0"
