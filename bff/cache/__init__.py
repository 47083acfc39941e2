"""Finished answers, kept and shared: keys, single-flight, and the byte-bounded store of this process."""
