"""The satisfactory model of a converged run as a folder that can be served."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.deployment.card import model_card
from llamaduo.deployment.facts import CardFacts
from llamaduo.deployment.merge import merge
from llamaduo.models.chat import load_tokenizer
from llamaduo.storage.files import atomic_folder, read_json, write_json, write_text
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.metrics import METRICS
from llamaduo.storage.tables import read_rows

COMPARED_PROMPTS = 4
"""Test prompts that merged and unmerged logits are compared on."""


def deploy(
    *,
    run: Mapping[str, str],
    model: ModelSettings,
    adapter: Path,
    decisions: Sequence[Path],
    metrics: Path,
    train: Path,
    test: Path,
    facts: CardFacts,
    output: Path,
    verification: Path,
) -> None:
    """Merge the adapter into its base, check the result, write the model's folder with its card, and the verification.

    Raises `InputError` when the run has not converged, when a file is missing, and when the logits of the merged model
    are too far from those of base and adapter; then nothing is written.
    """
    decided = [read_json(path) for path in decisions if _exists(path)]
    if not decided or decided[-1]["verdict"] != "converged":
        raise InputError(f"{decisions[-1] if decisions else 'no decisions'}: only a run that converged is deployed")
    training = read_json(adapter / "training.json") if _exists(adapter / "training.json") else {}
    rows, test_rows = read_rows(metrics, METRICS), read_rows(test, COVERAGE)
    train_rows = len(read_rows(train, COVERAGE))
    tokenizer = load_tokenizer(model)
    with atomic_folder(output) as folder:
        prompts = [row["messages"] for row in test_rows[:COMPARED_PROMPTS]]
        found = merge(model, adapter, tokenizer, prompts, folder)
        if not found.passed:
            raise InputError(
                f"{adapter}: the merged model's logits differ from those of base and adapter by up to "
                f"{found.max_abs_difference:.3g} (allowed: {found.tolerance:.3g}), {found.mean_abs_difference:.3g} on "
                f"average (the adapter's own effect: {found.adapter_effect}); bf16 does not hold this adapter's weights"
            )
        card = model_card(
            run=run,
            facts=facts,
            training=training,
            decisions=decided,
            metrics=rows,
            verification=found,
            train_rows=train_rows,
            test_rows=len(test_rows),
        )
        write_text(folder / "README.md", card)
    write_json(verification, found.as_dict())


def _exists(path: Path) -> bool:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return True
