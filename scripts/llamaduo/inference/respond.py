"""K responses of a local LLM to every test prompt: what is missing is computed, what is finished is kept.

A prompt that leaves no room for a response within the model's positions is answered by an empty response, cut off
("length"): the model cannot answer it, and its scores should say so. Where some room is left, a response may be
shorter than `max_new_tokens`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llamaduo.cli.errors import InputError
from llamaduo.cli.progress import Progress
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings
from llamaduo.inference.engine import Engine, Query
from llamaduo.inference.finished import FinishedSamples, Sample
from llamaduo.inference.identity import model_sha
from llamaduo.models.chat import decode, end_of_turn_ids, load_tokenizer, prompt_ids
from llamaduo.models.messages import as_text, context, response
from llamaduo.storage.canonical import digest
from llamaduo.storage.lease import lease
from llamaduo.storage.tables import Row
from llamaduo.workflow.fingerprint import OTHER_ENGINES, fingerprint_of_module, installed_versions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

# Neither changes a response: K says how many there are, batch_tokens how they are computed together.
NOT_IN_KEY = {"samples", "batch_tokens"}
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes")
# Modules that no response depends on.
NOT_IN_CODE = ("llamaduo.inference.finished", "llamaduo.storage")


@dataclass(frozen=True)
class Planned:
    """One sample of one test prompt: the prompt's row and token ids, the sample's number, key and randomness."""

    row: Row
    prompt: tuple[int, ...]
    sample: int
    key: str
    seed: int


def respond(
    prompts: Sequence[Row],
    model: ModelSettings,
    name: str,
    adapter: Path | None,
    settings: InferenceSettings,
    state: Path,
) -> list[Row]:
    """K responses per test prompt, as rows of `RESPONSES` in the order of the prompts and samples.

    prompts: rows of `COVERAGE`; name: the model's name in the table; adapter: of `finetune.py`, an adapter or
    a full fine-tuning; state: a folder with one file of finished samples per model, prompts, settings and seed. Raises
    `InputError` for a model or a conversation that cannot be used, and when another process is at the same samples.
    """
    settings = settings.model_copy(update=model.generation.model_dump(exclude_none=True))
    tokenizer = load_tokenizer(model)
    stop_ids = end_of_turn_ids(tokenizer)
    sha = model_sha(model, adapter)
    origin = {
        "model_sha": sha,
        "stop_ids": sorted(stop_ids),
        "settings": settings.model_dump(exclude=NOT_IN_KEY),
        "code": fingerprint_of_module(__name__, (*OTHER_ENGINES[settings.engine], *NOT_IN_CODE)),
        "packages": installed_versions((*PACKAGES, "vllm") if settings.engine == "vllm" else PACKAGES),
    }
    planned = plan(prompts, tokenizer, settings, origin)
    # Apart by name and prompts as well: runs beside this one may use the same base, and one file has one holder.
    path = state / f"{digest([name, origin, sorted({one.key for one in planned if one.sample == 0})])}.jsonl"
    state.mkdir(parents=True, exist_ok=True)
    with lease(path, f"the responses of {name}") as held:
        finished = FinishedSamples(path)
        missing = [one for one in planned if finished.get(one.key) is None]
        with Progress(f"respond {name}", len(planned), "response", done=len(planned) - len(missing)) as progress:
            if missing:
                engine = load_engine(model, adapter, settings, stop_ids)
                for samples in compute(engine, missing, settings.max_new_tokens, tokenizer):
                    held.check()
                    finished.append(samples)
                    progress.advance(len(samples))
        return [_output_row(one, finished[one.key], name, sha) for one in planned]


def plan(
    prompts: Sequence[Row], tokenizer: "Tokenizer", settings: InferenceSettings, origin: Mapping[str, object]
) -> list[Planned]:
    """The samples that the output needs, in its order; origin: what determines all of a model's samples.

    A sample's key holds all that it depends on; its randomness comes from seed, prompt and number only.
    """
    planned = []
    for number, row in enumerate(prompts):
        try:
            ids = tuple(prompt_ids(tokenizer, row["messages"]))
        except InputError as error:
            raise InputError(f"test prompt {row['prompt_id']!r} (row {number}): {error}") from error
        asked = {"prompt_id": row["prompt_id"], "messages": context(row["messages"])}
        for sample in range(settings.samples):
            key = digest({"origin": dict(origin), "asked": asked, "ids": ids, "sample": sample}, length=32)
            seed = int(digest({"seed": settings.seed, "asked": asked, "sample": sample}), base=16)
            planned.append(Planned(row, ids, sample, key, seed))
    return planned


def load_engine(
    model: ModelSettings, adapter: Path | None, settings: InferenceSettings, stop_ids: Sequence[int]
) -> Engine:
    """The engine that the settings name, with the model in it."""
    if settings.engine == "vllm":
        from llamaduo.inference import vllm_engine

        return vllm_engine.load(model, adapter, settings, stop_ids)
    from llamaduo.inference import transformers_engine

    return transformers_engine.load(model, adapter, settings, stop_ids)


def compute(
    engine: Engine, missing: Sequence[Planned], max_new_tokens: int, tokenizer: "Tokenizer"
) -> Iterator[list[Sample]]:
    """The missing samples, in groups as they are finished."""
    queries, asked = [], []
    without_room = []
    for one in missing:
        room = max_new_tokens if engine.positions is None else engine.positions - len(one.prompt)
        if room > 0:
            queries.append(Query(one.prompt, one.seed, min(room, max_new_tokens)))
            asked.append(one)
        else:
            without_room.append(Sample(key=one.key, text="", finish_reason="length", completion_tokens=0))
    if without_room:
        yield without_room
    for group in engine.generate(queries):
        yield [
            Sample(
                key=asked[generated.index].key,
                text=decode(tokenizer, generated.tokens, skip_special_tokens=True).strip(),
                finish_reason=generated.finish_reason,
                completion_tokens=len(generated.tokens),
            )
            for generated in group
        ]


def summary(rows: Sequence[Row]) -> str:
    """One line: how many responses there are, and how many are empty or cut off."""
    empty = sum(not row["candidate_responses"] for row in rows)
    truncated = sum(row["finish_reason"] == "length" for row in rows)
    cut_at_0 = [row for row in rows if row["finish_reason"] == "length" and row["completion_tokens"] == 0]
    without_room = len({row["prompt_id"] for row in cut_at_0})
    text = f"{len(rows)} responses: {empty} empty, {truncated} truncated"
    if without_room:
        text += f"; {without_room} test prompts leave no room for a response within the model's positions"
    return text


def _output_row(one: Planned, sample: Sample, name: str, sha: str) -> Row:
    messages = context(one.row["messages"])
    return {
        "instructions": as_text(messages),
        "target_responses": response(one.row["messages"]),
        "candidate_responses": sample.text,
        "model_id": name,
        "model_sha": sha,
        "prompt_id": one.row["prompt_id"],
        "sample": one.sample,
        "finish_reason": sample.finish_reason,
        "prompt_tokens": len(one.prompt),
        "completion_tokens": sample.completion_tokens,
        "messages": messages,
    }
