"""The composition root: from a configuration to what runs, and from one configuration to the next."""
