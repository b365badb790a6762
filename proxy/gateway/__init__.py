"""One request on its way: from the caller's octets to the upstream's, and back."""
