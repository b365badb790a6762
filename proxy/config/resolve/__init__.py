"""Completes what the operator wrote: presets, defaults, references, and rules between the parts."""
