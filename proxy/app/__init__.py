"""The composition root: builds the running proxy from a configuration, and applies later configurations."""
