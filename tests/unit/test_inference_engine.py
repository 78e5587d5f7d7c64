"""The transformers engine on tiny models: batches, padding, cache, ends of responses, memory that runs out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import build_tiny_model

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.inference.batches import joining, longest_first, tokens_of
from llamaduo.inference.engine import Generated, Query
from llamaduo.inference.sampling import Sampling, draw
from llamaduo.inference.transformers_engine import TransformersEngine
from llamaduo.models.chat import FAMILIES
from llamaduo.models.weights import load_base

SAMPLING = Sampling(temperature=0.8)
STOP = frozenset(range(8, 40))  # many, so that random models end some of their responses early
LIMIT = 24


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("models")
    folders = {family: build_tiny_model(family, root / family) for family in FAMILIES}
    return {family: load_base(ModelSettings(path=str(folder))) for family, folder in folders.items()}


def queries(prompts: int = 6, samples: int = 3) -> list[Query]:
    texts = [tuple((7 * prompt + place) % 300 for place in range(2 + 5 * prompt)) for prompt in range(prompts)]
    return [
        Query(text, seed=1000 * number + sample, limit=LIMIT)
        for number, text in enumerate(texts)
        for sample in range(samples)
    ]


def answers(model: Any, asked: list[Query], batch_tokens: int, sampling: Sampling = SAMPLING) -> list[Generated]:
    groups = list(TransformersEngine(model, STOP, sampling, batch_tokens).generate(asked))
    found = sorted((one for group in groups for one in group), key=lambda one: one.index)
    assert [one.index for one in found] == list(range(len(asked)))
    return found


def one_token_after_another(model: Any, query: Query, sampling: Sampling) -> Generated:
    """The definition: no batch, no padding, no cache."""
    tokens: list[int] = []
    while len(tokens) < query.limit:
        logits = model(input_ids=torch.tensor([[*query.prompt, *tokens]])).logits[:, -1]
        token = int(draw(logits, [query.seed], [len(tokens)], sampling))
        if token in STOP:
            return Generated(0, tuple(tokens), "stop")
        tokens.append(token)
    return Generated(0, tuple(tokens), "length")


@pytest.mark.parametrize("family", ["gemma", "chatml"])
def test_a_response_does_not_depend_on_its_batch(family: str, models: dict[str, Any]) -> None:
    asked = queries()
    together = answers(models[family], asked, batch_tokens=100_000)
    alone = answers(models[family], asked, batch_tokens=1)
    a_few = answers(models[family], asked, batch_tokens=300)
    reversed_order = answers(models[family], asked[::-1], batch_tokens=300)[::-1]
    assert together == alone == a_few
    assert [one.tokens for one in reversed_order] == [one.tokens for one in together]
    assert len({one.tokens for one in together}) > len(asked) / 2, "the samples of a prompt differ"
    assert {one.finish_reason for one in together} == {"stop", "length"}


@pytest.mark.parametrize(
    ("family", "sampling"),
    [(family, SAMPLING) for family in FAMILIES]
    + [("llama", Sampling(1.2, top_k=20, top_p=0.9)), ("gemma", Sampling(0.0))],
)
def test_padding_cache_and_batch_change_nothing(family: str, sampling: Sampling, models: dict[str, Any]) -> None:
    asked = queries(prompts=4, samples=2)
    with torch.inference_mode():
        expected = [one_token_after_another(models[family], query, sampling) for query in asked]
    found = answers(models[family], asked, 100_000, sampling)
    assert [(one.tokens, one.finish_reason) for one in found] == [(e.tokens, e.finish_reason) for e in expected]


def models_with_windows() -> Iterator[Any]:
    """A model whose layers all look back 8 tokens, and one where every other layer does."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, MistralConfig, MistralForCausalLM

    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)  # noqa: C408
    sizes |= {"vocab_size": 384, "num_key_value_heads": 1, "sliding_window": 8}
    yield MistralForCausalLM, MistralConfig(**sizes)
    kinds = ["sliding_attention", "full_attention"]
    yield Gemma3ForCausalLM, Gemma3TextConfig(**sizes, layer_types=kinds, head_dim=16, initializer_range=0.2)


@pytest.mark.parametrize(("kind", "config"), list(models_with_windows()), ids=["all layers", "every other layer"])
def test_a_sliding_window_of_attention_is_kept_through_batches(kind: Any, config: Any) -> None:
    torch.manual_seed(0)
    model = kind(config)
    model.config.eos_token_id = None
    asked = queries(prompts=4, samples=2)
    with torch.inference_mode():
        expected = [one_token_after_another(model.eval(), query, SAMPLING).tokens for query in asked]
    assert [one.tokens for one in answers(model, asked, 100_000)] == expected
    assert [one.tokens for one in answers(model, asked, 120)] == expected


def test_rows_that_end_make_room_for_others(models: dict[str, Any]) -> None:
    asked = queries()
    budget = 4 * (len(asked[-1].prompt) + LIMIT)
    engine = TransformersEngine(models["llama"], STOP, SAMPLING, budget)
    shapes: list[tuple[int, int]] = []
    watch = engine.model.register_forward_pre_hook(
        lambda module, given, keys: shapes.append(tuple(keys["input_ids"].shape)), with_kwargs=True
    )
    groups = list(engine.generate(asked))
    watch.remove()
    prefills = [number for number, (_, tokens) in enumerate(shapes) if tokens > 1]
    by_end = {one.index: number for number, group in enumerate(groups) for one in group}
    assert len(prefills) > len(asked) / 4, "new ones join before all of those before them have ended"
    assert len(groups) > len(prefills), "what has ended is given back while others go on"
    assert by_end[15] < by_end[0], "the longest prompts come first"
    assert all(rows * (2 + 1) <= budget for rows, _ in shapes)


def test_a_model_with_more_than_attention_is_refused() -> None:
    from transformers import Qwen3NextConfig, Qwen3NextForCausalLM

    torch.manual_seed(0)
    config = Qwen3NextConfig(vocab_size=384, hidden_size=32, num_hidden_layers=4, num_experts=2, intermediate_size=32)
    with torch.device("meta"):
        model = Qwen3NextForCausalLM(config)
    with pytest.raises(InputError, match=r"LinearAttentionLayer: set inference\.engine to 'vllm'"):
        TransformersEngine(model, STOP, SAMPLING, 100)


def test_the_end_of_turn_counts_for_the_limit_and_is_left_out(models: dict[str, Any]) -> None:
    longest = answers(models["llama"], queries(), 100_000)
    stopped = next(one for one in longest if one.finish_reason == "stop" and one.tokens)
    query = queries()[stopped.index]
    just_enough = Query(query.prompt, query.seed, len(stopped.tokens) + 1)
    one_less = Query(query.prompt, query.seed, len(stopped.tokens))
    found = answers(models["llama"], [just_enough, one_less], 100_000)
    assert not STOP & set(stopped.tokens)
    assert [(one.tokens, one.finish_reason) for one in found] == [(stopped.tokens, "stop"), (stopped.tokens, "length")]


def test_batches_hold_neighbours_in_length_within_the_budget() -> None:
    asked = queries()
    order, sizes = longest_first(asked), []
    assert [len(asked[index].prompt) for index in order] == sorted((len(one.prompt) for one in asked), reverse=True)
    while order:
        count = joining([asked[index] for index in order], rows=0, width=0, to_come=0, budget=150)
        assert tokens_of(count, len(asked[order[0]].prompt), LIMIT) <= 150
        sizes.append(count)
        order = order[count:]
    assert sizes[0] < sizes[-1]
    assert joining(asked, rows=0, width=0, to_come=0, budget=1) == 1, "one at least"
    assert joining(asked, rows=1, width=10, to_come=5, budget=1) == 0, "but none beside others"
    assert joining(asked[:2], rows=3, width=2, to_come=LIMIT, budget=5 * (2 + LIMIT)) == 2


class SmallMemory:
    """A model on a device that holds no more than so many tokens at once."""

    def __init__(self, model: Any, tokens: int) -> None:
        self.config, self.device, self.model, self.tokens = model.config, model.device, model, tokens
        self.largest = 0

    def eval(self) -> "SmallMemory":
        return self

    def __call__(self, **inputs: Any) -> Any:
        if inputs["attention_mask"].numel() > self.tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.largest = max(self.largest, inputs["attention_mask"].numel())
        return self.model(**inputs)


def test_when_memory_runs_out_batches_are_halved_and_the_responses_are_the_same(
    models: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    expected = answers(models["llama"], queries(), 100_000)
    small = SmallMemory(models["llama"], tokens=200)
    assert answers(small, queries(), 100_000) == expected
    assert 50 < small.largest <= 200
    assert "out of memory with 936 tokens per batch; going on with batch_tokens 468" in caplog.text


def test_a_single_response_that_does_not_fit_is_said(models: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"single response of up to 51 tokens .* lower max_new_tokens"):
        answers(SmallMemory(models["llama"], tokens=5), queries(), 100_000)


def test_a_model_whose_training_diverged_is_said(tmp_path: Path) -> None:
    model = load_base(ModelSettings(path=str(build_tiny_model("llama", tmp_path))))
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"NaN.*diverged"):
        answers(model, queries(), 100_000)
