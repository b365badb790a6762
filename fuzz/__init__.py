"""Fuzzers of every reader of what comes from outside; `fuzz/run` starts them (CONTRIBUTING.md)."""
