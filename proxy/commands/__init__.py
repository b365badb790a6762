"""Implements the commands of `cli.py`, and sets up the log and the event loop of the process."""
