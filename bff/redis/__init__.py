"""Redis, which many replicas share: an accelerator that may go away at any moment."""

from bff.redis.link import Redis, RedisDown, Script

__all__ = ["Redis", "RedisDown", "Script"]
