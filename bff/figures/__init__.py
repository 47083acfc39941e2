"""What the answers compute from their sources: pure functions, no I/O, no clock but the one passed in."""
