"""The HTTP side: from the request's bytes to the operation, and from its answer to the response's bytes."""
