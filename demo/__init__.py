"""A pretend platform: the upstreams as small programs with fault switches, and a seeded store."""
