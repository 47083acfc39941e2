"""A soak: mixed traffic to two replicas in changing weather, and an account of every answer."""
