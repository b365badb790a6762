"""What the operator wrote, a YAML file or the variables of Camunda's own clients, as one frozen `Config`."""
