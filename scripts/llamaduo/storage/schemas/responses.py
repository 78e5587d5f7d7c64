"""K responses to each test prompt, of a local LLM or of the service LLM itself."""

from llamaduo.storage.schemas.columns import COUNT, MESSAGES, TEXT, columns

RESPONSES = columns(
    {
        "instructions": TEXT,
        "target_responses": TEXT,
        "candidate_responses": TEXT,
        "model_id": TEXT,
        "model_sha": TEXT,
        "prompt_id": TEXT,
        "sample": COUNT,
        "finish_reason": TEXT,
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "messages": MESSAGES,
    }
)
