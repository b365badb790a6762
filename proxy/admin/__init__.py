"""The admin ports: status, health and metrics."""
