"""AsterAgents statistics API (document 001): the answer of ``/api/dashboard/getStats``."""

from contracts._base import Document


class UsageStats(Document):
    """``GET /api/dashboard/getStats``; the ``kb`` figures are the whole organization's."""

    conversation_count: int
    message_count: int
    tool_calls: int
    total_tokens: int
    input_tokens: int
    output_tokens: int
    unique_users: int
    unique_agents: int
    total_feedback: int
    total_helpful: int
    total_not_helpful: int
    kb_file_count: int
    kb_count: int
    kb_extract_total_tokens: int
    kb_extract_input_tokens: int
    kb_extract_output_tokens: int
