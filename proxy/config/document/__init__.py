"""The YAML as people write it: the keys of each part, the kinds of their values, our words for mistakes."""
