"""What the commands of `cli.py` do, and what they set up for a process: its log and its event loop."""
