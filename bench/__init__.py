"""Side-by-side benchmarks: the gateway beside two servers that answer the same from the same upstreams."""
