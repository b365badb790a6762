"""Connections that the proxy makes: names, addresses, sockets, and why TLS failed."""
