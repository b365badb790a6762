"""Writes a line for each request that changes something: who sent it, to which upstream, and its result."""
