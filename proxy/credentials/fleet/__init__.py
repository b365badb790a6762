"""Shares one credential between many proxies, through Valkey or Redis. Imported only where a store is set."""
