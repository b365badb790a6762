"""From what was written to what it means: presets, defaults, references, and rules between the parts."""
