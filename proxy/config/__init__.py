"""Turns a YAML file, or the variables of Camunda's own clients, into one frozen `Config`."""
