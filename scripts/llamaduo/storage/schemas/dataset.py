"""What a cycle trains on."""

from llamaduo.storage.schemas.columns import MESSAGES, TEXT, columns

DATASET = columns({"messages": MESSAGES, "category": TEXT, "origin": TEXT, "prompt_id": TEXT})
