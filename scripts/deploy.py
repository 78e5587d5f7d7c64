"""Deploy a converged run: merge its adapter into the base in bf16, check the logits, write the model and its card."""

from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.models import ModelSettings
from llamaduo.deployment.facts import CardFacts

NOTHING_KNOWN = CardFacts()


def main(
    *,
    adapter: Path,
    model: ModelSettings,
    names: dict[str, str],
    decisions: list[Path],
    metrics: Path,
    train: Path,
    test: Path,
    output: Path,
    verification: Path,
    card: CardFacts = NOTHING_KNOWN,
) -> None:
    """Deploy a model.

    Args:
        adapter: Folder of the adapter (or whole model) of the cycle in which the run converged.
        model: The base model: path, revision, family.
        names: The run's task, generator and model, by their names in the config.
        decisions: The run's decision.json files, in the order of the cycles; the last one converged.
        metrics: The metrics table of that cycle.
        train: Train split of the coverage dataset.
        test: Test split; the logits are compared on some of its prompts.
        output: Folder to be written: the merged model, tokenizer, chat template, README.md.
        verification: JSON file to be written: merged against unmerged logits.
        card: What the card says beside these, with the keys coverage, generator, judges, simulated, settings.
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.deployment.deploy import deploy

    if missing := {"task", "generator", "model"} - set(names):
        raise InputError(f"--names: {', '.join(sorted(missing))} missing; it needs task, generator and model")
    deploy(
        run=names,
        model=model,
        adapter=adapter,
        decisions=decisions,
        metrics=metrics,
        train=train,
        test=test,
        facts=card,
        output=output,
        verification=verification,
    )


if __name__ == "__main__":
    run(main, __doc__)
