"""What an estimate rests on, in words, and what has been spent already."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from llamaduo.config import prices
from llamaduo.config.root import Config
from llamaduo.estimate.calls import Sizes
from llamaduo.estimate.data import TaskData
from llamaduo.estimate.model_size import billion_parameters
from llamaduo.estimate.table import added
from llamaduo.estimate.work import Work
from llamaduo.report.calls import read_calls
from llamaduo.report.plan import make_plan
from llamaduo.report.reading import Reader
from llamaduo.service.budget.usage import total
from llamaduo.workflow.layout import State


def notes(
    config: Config,
    works: Sequence[Work],
    data: Mapping[str, TaskData],
    sizes: Sizes,
    yields: Mapping[tuple[str, str], float],
) -> list[str]:
    """What is assumed, what was measured, which prices hold, and how it compares with the budget."""
    settings = config.estimate
    assumed = [task for task, found in data.items() if found.assumed]
    found = [
        "The lower bound: every run converges after its first volume. The upper bound: every run needs every volume. "
        "Both start from nothing: what stands in the journals already is not paid for again, and asking again after "
        "an unusable answer is not counted.",
        f"Assumed yield of synthesis: {settings.highest_yield:.0%} and {settings.lowest_yield:.0%} of the pairs asked "
        "for" + _measured_yields(yields) + ".",
    ]
    if assumed:
        found.append(
            f"Assumed data of {', '.join(assumed)}: {settings.train_rows} train and {settings.test_rows} test rows, "
            f"{settings.prompt_tokens} tokens a prompt, {settings.response_tokens} a response; the coverage dataset "
            "is not on this machine (`snakemake coverage` fetches it)."
        )
    if not any(size.measured for size in sizes.values()):
        found.append(
            f"Assumed answers: as long as the references, and {settings.grade_tokens} tokens per metric of a grade; a "
            "model that thinks first is charged for that too. `snakemake pilot` measures both."
        )
    models = {name: billion_parameters(name, model, settings) for name, model in config.models.items()}
    known = ", ".join(f"{name} {size:.3g}" for name, size in models.items())
    found.append(
        f"GPU hours: fine-tuning at {settings.training_teraflops:g} TFLOP/s, decoding at {settings.decoding_rate:g} "
        f"tokens/s over the model's size, {settings.load_minutes:g} minutes of loading; sizes in 10^9 parameters: "
        f"{known}. All of `estimate` in the config can be set."
    )
    if Path(config.prices).is_file():
        found.append(f"Prices: {config.prices}, as of {prices.load(Path(config.prices)).as_of}, or the config's own.")
    unpriced = dict.fromkeys(name for work in works for name in added(work.lines).unpriced)
    if unpriced:
        found.append(f"No price is known of {', '.join(unpriced)}: add services.NAME.price, or it to {config.prices}.")
    simulated = [name for name, service in config.services.items() if service.is_simulated]
    if simulated:
        found.append(f"SIMULATED services, which charge nobody: {', '.join(simulated)}.")
    return found + _budget(config, works)


def spent(config: Config, results: Path, state: Path) -> str:
    """What the journals hold already."""
    calls = read_calls(Reader(results), make_plan(config), State(state).journals)
    usage = total(each.usage for each in calls)
    further = f", and {usage.simulated_dollars:,.2f} simulated dollars" if usage.simulated_dollars else ""
    return f"In the journals already: {usage.calls:,} calls, {usage.dollars:,.2f} dollars{further}."


def _measured_yields(yields: Mapping[tuple[str, str], float]) -> str:
    measured = ", ".join(f"{task} / {generator} {share:.0%}" for (task, generator), share in yields.items())
    return f"; measured: {measured}" if measured else ""


def _budget(config: Config, works: Sequence[Work]) -> list[str]:
    if config.budget_usd is None:
        return ["No budget is set (budget_usd)."]
    lower, upper = (added(work.lines).usage.dollars for work in works)
    word = "below the lower bound" if config.budget_usd < lower else "within the bounds"
    word = "above the upper bound" if config.budget_usd >= upper else word
    return [f"budget_usd is {config.budget_usd:,.2f}: {word}. It is never exceeded."]
