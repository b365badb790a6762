"""Access rules: which requests only read, and which ones an operator lets pass."""
