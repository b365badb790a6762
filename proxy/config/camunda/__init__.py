"""The variables of Camunda's own clients, as if they were our YAML."""
