"""The service LLM's own responses to the test prompts: what the local LLMs are to match, graded in the same way."""

from collections.abc import Sequence

from llamaduo.cli.errors import ServiceError
from llamaduo.config.services import Generation
from llamaduo.models.messages import as_text, context, response
from llamaduo.service.interface import Answer, Outcome, Request
from llamaduo.storage.tables import Row


def requests(prompts: Sequence[Row], samples: int, generation: Generation) -> list[Request]:
    """`samples` requests for each test prompt, prompt by prompt, with its system turn and earlier turns.

    Sample k is replicate k, so that a higher number of samples asks for the new ones only.
    """
    return [
        Request(tuple(context(row["messages"])), None, generation, sample)
        for row in prompts
        for sample in range(samples)
    ]


def responses(
    prompts: Sequence[Row], samples: int, outcomes: Sequence[Outcome[Answer]], name: str, model: str
) -> list[Row]:
    """The rows of the answers to the `requests`, by (test prompt, sample).

    A refusal, a filtered or a cut-off answer stays a response, its finish reason beside it: it is what the service
    gave. Raises `ServiceError` when some request has no answer at all.
    """
    missing = [outcome for outcome in outcomes if outcome.value is None]
    if missing:
        raise ServiceError(
            f"{name}: {len(missing)} of {len(outcomes)} responses could not be had: {missing[0].problem}; "
            "what was answered is in the journal, the same command asks for the rest"
        )
    rows = []
    for place, outcome in enumerate(outcomes):
        number, sample = divmod(place, samples)
        turns = prompts[number]["messages"]
        answer = outcome.value
        assert answer is not None
        rows.append(
            {
                "instructions": as_text(context(turns)),
                "target_responses": response(turns),
                "candidate_responses": answer.text,
                "model_id": name,
                "model_sha": model,
                "prompt_id": prompts[number]["prompt_id"],
                "sample": sample,
                "finish_reason": answer.stop_reason,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
                "messages": context(turns),
            }
        )
    return rows
