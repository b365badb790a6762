"""Forwards requests: reads them from callers, sends them to the upstream, and sends the answers back."""
