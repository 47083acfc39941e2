"""Typed clients of everything the gateway asks, on one shared pipe.

This package never imports the gateway: a client knows its upstream and nothing of who serves the answer.
"""
