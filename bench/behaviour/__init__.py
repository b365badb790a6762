"""What each proxy does right and wrong, by one judge: the table bench/peers.md, made by bench/conformance."""
