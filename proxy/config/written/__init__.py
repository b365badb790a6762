"""Reads the text that the operator wrote, with the line of each part, and checks the files that it names."""
