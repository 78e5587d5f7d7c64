"""The train and test split of a task."""

from llamaduo.storage.schemas.columns import MESSAGES, TEXT, columns

COVERAGE = columns({"prompt": TEXT, "prompt_id": TEXT, "messages": MESSAGES, "category": TEXT})
