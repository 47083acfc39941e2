"""The parts of the HTTP/1.1 client transport."""
