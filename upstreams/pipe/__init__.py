"""The one way out to HTTP upstreams.

A call passes these layers from the outside in, each a small callable around the next:

    total deadline -> bulkhead -> circuit breaker -> retry -> throttle
        -> one pooled HTTP call -> size-capped decode

A patient pipe has no throttle. Nothing but a decoded model or an ``UpstreamFailure`` ever comes back out.
"""

from upstreams.pipe.address import Address, HostRules, enabled
from upstreams.pipe.breaker import Breaker
from upstreams.pipe.bulkhead import Bulkhead
from upstreams.pipe.call import MAX_BODY_BYTES, UNDECODABLE, Call, Reply
from upstreams.pipe.pipe import Pipe, Policy

__all__ = [
    "MAX_BODY_BYTES",
    "UNDECODABLE",
    "Address",
    "Breaker",
    "Bulkhead",
    "Call",
    "HostRules",
    "Pipe",
    "Policy",
    "Reply",
    "enabled",
]
