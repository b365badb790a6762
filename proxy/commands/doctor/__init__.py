"""The `doctor` command: tries what the configuration says, step by step, and names the cause of each fault.

`examine.py` has the order of the steps. The modules that end in `_answers` are pure: what an answer means.
"""
