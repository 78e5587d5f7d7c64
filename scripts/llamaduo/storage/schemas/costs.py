"""What a step's answers cost: one row per step, as its journal has it."""

import pyarrow as pa

COSTS = pa.schema(
    [
        pa.field("role", pa.string(), nullable=False),  # generator, judge or baseline
        pa.field("task", pa.string()),
        pa.field("generator", pa.string()),
        pa.field("model", pa.string()),  # the local LLM that was graded
        pa.field("volume", pa.int64()),
        pa.field("chunk", pa.int64()),
        pa.field("services", pa.string(), nullable=False),  # the service LLM's name in the config
        pa.field("providers", pa.string(), nullable=False),
        pa.field("service_models", pa.string(), nullable=False),  # its name at the vendor
        pa.field("simulated", pa.bool_(), nullable=False),
        pa.field("calls", pa.int64(), nullable=False),  # charges of a prompt
        pa.field("answers", pa.int64(), nullable=False),  # samples; several may come from one call
        pa.field("repeated", pa.int64(), nullable=False),  # answers asked for because the one before was of no use
        pa.field("batch_answers", pa.int64(), nullable=False),  # those that came through the batch API
        pa.field("prompt_tokens", pa.int64(), nullable=False),
        pa.field("cached_tokens", pa.int64(), nullable=False),  # of the prompt tokens, read from the vendor's cache
        pa.field("cache_write_tokens", pa.int64(), nullable=False),  # of the prompt tokens, written to it
        pa.field("completion_tokens", pa.int64(), nullable=False),
        pa.field("dollars", pa.float64(), nullable=False),  # US dollars, of the answers whose price was known
        pa.field("unpriced", pa.int64(), nullable=False),  # answers whose price was not
    ]
)
