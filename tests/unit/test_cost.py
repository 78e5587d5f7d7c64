"""What calls cost by a price: after the answer, at most before it; and where prices come from."""

from pathlib import Path

import pytest
import yaml
from test_config import small

from llamaduo.cli.errors import InputError
from llamaduo.config import prices
from llamaduo.config.load import validate
from llamaduo.config.services import Generation, Price, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.budget import cost
from llamaduo.service.interface import Answer, Request

ROOT = Path(__file__).parents[2]
PRICE = Price(prompt=2.5, cached_prompt=1.25, completion=10, batch_prompt=1.25, batch_completion=5)
CLAUDE = Price(prompt=3, cached_prompt=0.3, cache_write=3.75, completion=15, batch_prompt=1.5, batch_completion=7.5)


def answer(**tokens: object) -> Answer:
    return Answer("text", "stop", **{"prompt_tokens": 0, "completion_tokens": 0, "date": "", **tokens})  # type: ignore[arg-type]


def request(text: str, most: int = 100, schema: dict[str, object] | None = None) -> Request:
    return Request((Message(role="user", content=text),), schema, Generation(max_tokens=most))


def test_an_answer_costs_its_tokens_by_the_price_per_million() -> None:
    assert cost.dollars(answer(prompt_tokens=900, completion_tokens=100), PRICE) == pytest.approx(0.00325)
    assert cost.dollars(answer(prompt_tokens=900, completion_tokens=100), None) is None


def test_cached_tokens_and_batches_have_prices_of_their_own() -> None:
    cached = answer(prompt_tokens=1_000_000, cached_tokens=600_000)
    written = answer(prompt_tokens=1_000_000, cache_write_tokens=400_000)
    in_batch = answer(prompt_tokens=1_000_000, completion_tokens=1_000_000, batch=True)

    assert cost.dollars(cached, PRICE) == pytest.approx(0.4 * 2.5 + 0.6 * 1.25)
    assert cost.dollars(written, CLAUDE) == pytest.approx(0.6 * 3 + 0.4 * 3.75)
    assert cost.dollars(in_batch, PRICE) == pytest.approx(1.25 + 5)
    # Without a batch price the full one counts: a budget errs to the safe side.
    assert cost.dollars(in_batch, Price(prompt=2, completion=4)) == pytest.approx(6)


@pytest.mark.parametrize("text", ["word " * 200, "日本語のテキスト" * 50, "🙂" * 100, ""])
def test_the_bound_before_a_call_holds_for_every_tokenizer(text: str) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"score": {"type": "number"}}}
    asked = request(text, 100, schema)
    # No tokenizer makes more tokens of a text than it has bytes.
    worst = answer(prompt_tokens=len(text.encode()) + len(str(schema)), completion_tokens=300, cache_write_tokens=10)

    for price in (PRICE, CLAUDE):
        charged = cost.dollars(worst, price)
        assert charged is not None
        assert cost.most_dollars(asked, 3, price) >= charged
    assert cost.most_dollars(asked, 3, None) == 0
    assert cost.most_dollars(asked, 3, PRICE, batch=True) == pytest.approx(cost.most_dollars(asked, 3, PRICE) / 2)


def test_prices_of_the_repository_have_a_date_and_those_of_the_paper() -> None:
    known = prices.load(ROOT / "config" / "prices.yaml")

    assert known.as_of.year >= 2025
    paper = {"openai": "gpt-4o", "anthropic": "claude-3-sonnet-20240229", "gemini": "gemini-1.5-flash-001"}
    for vendor, model in paper.items():
        price = known.prices[vendor][model]
        assert 0 < price.prompt < price.completion
    for models in known.prices.values():
        for name, price in models.items():
            assert price.batch_prompt in (None, pytest.approx(price.prompt / 2)), name
            assert price.cached_prompt is None or price.cached_prompt < price.prompt, name


def test_a_service_gets_its_price_from_the_file_unless_it_has_one(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    listed = {"openai": {"gpt-4o": {"prompt": 1, "completion": 2}}, "anthropic": {}}
    file.write_text(yaml.safe_dump({"as_of": "2026-01-01", "prices": listed}))

    config = validate(small(prices=str(file)), "my.yaml")

    assert config.services["gpt"].price == Price(prompt=1, completion=2)
    assert config.services["claude"].price is None
    # The resolved config, which steps and the report read, is a config too.
    assert validate(config.model_dump(mode="json"), "resolved").services == config.services


def test_a_budget_needs_the_price_of_every_service_that_charges(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"my.yaml: budget_usd: what 'gpt-77' of services.gpt .*services.gpt.price"):
        validate(small(budget_usd=10, services=services(model="gpt-77")), "my.yaml")

    own = validate(small(budget_usd=10, services=services(model="gpt-77", price=PRICE.model_dump())), "my.yaml")
    simulated = validate(small(budget_usd=10, services=services(model="gpt-77", base_url="simulated")), "my.yaml")

    assert own.services["gpt"].price == PRICE
    assert simulated.services["gpt"].price is None


def test_a_list_of_prices_that_is_named_must_be_there_and_be_right(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.yaml: no such file"):
        validate(small(prices="nowhere.yaml"), "my.yaml")
    file = tmp_path / "prices.yaml"
    file.write_text("as_of: 2026-01-01\nprices: {openai: {gpt-4o: {prompt: 1, answers: 2}}}\n")
    with pytest.raises(InputError, match=r"prices.openai.gpt-4o.answers: unknown key"):
        validate(small(prices=str(file)), "my.yaml")


def test_a_cloud_has_its_vendors_prices_unless_it_has_its_own() -> None:
    known = prices.Prices.model_validate(
        {
            "as_of": "2026-01-01",
            "prices": {
                "anthropic": {"a": {"prompt": 1, "completion": 1}, "b": {"prompt": 1, "completion": 1}},
                "anthropic-vertex": {"a": {"prompt": 2, "completion": 2}},
            },
        }
    )

    for model, prompt in (("a", 2), ("b", 1)):
        price = known.of(ServiceSettings(provider="anthropic-vertex", model=model))
        assert price is not None
        assert price.prompt == prompt


def services(**changes: object) -> dict[str, object]:
    return {
        "gpt": {"provider": "openai", "model": "gpt-4o", **changes},
        "claude": {"provider": "anthropic", "model": "claude-sonnet-4-5"},
    }


def test_an_answer_without_told_tokens_costs_no_less_than_its_text() -> None:
    asked = request("a question " * 20)
    silent = [answer(), answer()]

    found = cost.priced(silent, asked.messages, None, PRICE)

    prompt = cost.prompt_tokens_at_most(asked.messages, None)
    first, second = ((prompt * 2.5 + 4 * 10) / 1e6, 4 * 10 / 1e6)
    assert [each.dollars for each in found] == [pytest.approx(first), pytest.approx(second)]
    # What the server did not tell is not made up.
    assert [(each.prompt_tokens, each.completion_tokens) for each in found] == [(0, 0), (0, 0)]
    in_batch = cost.priced([answer(batch=True)], asked.messages, None, PRICE)
    assert in_batch[0].dollars == pytest.approx(first / 2)
    told = cost.priced([answer(prompt_tokens=1_000_000)], asked.messages, None, PRICE)
    assert told[0].dollars == pytest.approx(2.5)
    assert cost.priced(silent, asked.messages, None, None)[0].dollars is None
    refused = Answer("", "filtered", 0, 0, "")
    assert cost.priced([refused], asked.messages, None, PRICE)[0].dollars == 0


def test_tokens_are_reckoned_with_where_a_server_tells_none() -> None:
    assert cost.tokens_used([answer(prompt_tokens=7, completion_tokens=3), answer(completion_tokens=2)], 99) == 12
    assert cost.tokens_used([answer(), answer()], 99) == 99 + len("texttext") / 4
    assert cost.tokens_used([Answer("", "length", 0, 0, "")], 99) == 0, "the model did not begin"
