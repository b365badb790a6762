"""The text that the operator wrote: reading it, where each part of it stands, and the files that it names."""
