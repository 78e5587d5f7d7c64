"""Chunks of synthetic pairs, the pool of those accepted, and those rejected."""

from llamaduo.storage.schemas.columns import COUNT, MESSAGES, REAL, TEXT, columns, extended

# A generator's answer that could not be parsed is one row with an error and without messages.
SYNTHESIS = columns(
    {
        "generators": TEXT,
        "prompt_ids": TEXT,
        "seed_prompts": TEXT,
        "category": TEXT,
        "call": COUNT,
        "position": COUNT,
        "stop_reason": TEXT,
    },
    {"messages": MESSAGES, "error": TEXT, "answer": TEXT},
)
POOL = SYNTHESIS
REJECTED = extended(SYNTHESIS, columns({"reason": TEXT}, {"matched_id": TEXT, "score": REAL}))
