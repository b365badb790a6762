"""One request on its way: from the caller's bytes to the upstream's, and back."""
