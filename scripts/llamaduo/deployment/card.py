"""The model card of a deployed model: what it is for, what it was made of, how it was judged."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llamaduo.deployment.facts import CardFacts
from llamaduo.deployment.merge import Verification
from llamaduo.storage.tables import Row


def model_card(
    *,
    run: Mapping[str, str],
    facts: CardFacts,
    training: Mapping[str, Any],
    decisions: Sequence[Mapping[str, Any]],
    metrics: Sequence[Row],
    verification: Verification,
    train_rows: int,
    test_rows: int,
) -> str:
    """The card as Markdown with the Hub's header.

    Args:
        run: task, generator and model, by their names in the config.
        facts: what else the config knows.
        training: the adapter's training.json.
        decisions: of the run's cycles in order; the last one converged.
        metrics: the rows of the last cycle's metrics table.
        verification: merged against unmerged logits.
        train_rows: rows of the coverage dataset's train split.
        test_rows: prompts of its test split.
    """
    base, last = training["base"], decisions[-1]
    names = [run["generator"], *facts.judges]
    simulated = [name for name in dict.fromkeys(names) if name in facts.simulated]
    sections = [
        _header(base["path"]),
        f"# {run['model']} for {run['task']}",
        f"{run['model']} (`{base['path']}`{_revision(base)}), fine-tuned to take over the task `{run['task']}` from a "
        "service LLM, by the method of LlamaDuo (Park et al., arXiv 2408.13467). "
        "The licence and the conditions of use of the base model hold for this one.",
    ]
    if simulated:
        sections.append(
            f"> **Simulated.** {_listed(simulated)} {'was' if len(simulated) == 1 else 'were'} simulated by a program "
            "on the same computer. The scores below say that the machinery works and nothing about any real LLM."
        )
    sections += [
        "## Data",
        _bullets(
            {
                "coverage dataset": facts.coverage or "not stated",
                "train split": f"{train_rows} rows",
                "test split": f"{test_rows} prompts, never trained on",
                "synthetic samples": _synthetic(last["volume"], run["generator"], facts),
                "trained on": ", ".join(f"{count} rows of {name}" for name, count in training["origins"].items()),
                "of these": f"{training['validation_examples']} were held out for validation, "
                f"{len(training['dropped_rows'])} left out as too long, {training['shortened_prompts']} got a shorter "
                "prompt",
            }
        ),
        "## Scores",
        f"Of the last cycle (volume {last['volume']}), on the test split, from 0 to 100; the interval is a bootstrap "
        "over prompts.",
        _scores(metrics, facts),
        "The run converged by these criteria:",
        _criteria(last),
        "Its cycles: " + ", ".join(f"volume {one['volume']} {one['verdict']}" for one in decisions) + ".",
        "## Training",
        _bullets({"method": training["method"], **{key: _shown(value) for key, value in _training(training).items()}}),
        "## Weights",
        "bf16, safetensors"
        + (", the adapter merged into the base" if training["method"] != "full" else "")
        + f". Against base and adapter unmerged, over {verification.tokens} tokens of {verification.prompts} test "
        f"prompts, logits differ by {verification.max_abs_difference:.3g} at most (allowed: "
        f"{verification.tolerance:.3g}; their range: {verification.logit_range:.3g}), and "
        f"{100 * verification.same_likeliest_token:.1f} % of the likeliest tokens are the same.",
        "## Use",
        _USE,
    ]
    if facts.settings:
        shown = json.dumps(facts.settings, indent=2, sort_keys=True, ensure_ascii=False)
        sections += ["## Settings", f"```json\n{shown}\n```"]
    return "\n\n".join(sections) + "\n"


_USE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16", device_map="auto")
messages = [{"role": "user", "content": "..."}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**prompt.to(model.device), do_sample=True, temperature=0.8, max_new_tokens=1024)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True))
```"""


def _header(base: str) -> str:
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation"]
    if not base.startswith((".", "/", "~")):
        lines.append(f"base_model: {json.dumps(base)}")
    return "\n".join([*lines, "tags: [llamaduo]", "---"])


def _revision(base: Mapping[str, Any]) -> str:
    return f", revision `{base['revision']}`" if base.get("revision") else ""


def _synthetic(volume: int, generator: str, facts: CardFacts) -> str:
    if not volume:
        return "none"
    return f"{volume} by {generator}{f' ({facts.generator})' if facts.generator else ''}"


def _training(training: Mapping[str, Any]) -> dict[str, Any]:
    left_out = {"method", "include_train", "warm_start", "checkpoint_minutes"}
    loss = training["kept_eval_loss"]
    return {
        "steps": training["steps"],
        "weights kept": f"of step {training['kept_step']}" + ("" if loss is None else f", validation loss {loss:.4f}"),
        **{key: value for key, value in training["settings"].items() if key not in left_out and value is not None},
    }


def _scores(metrics: Sequence[Row], facts: CardFacts) -> str:
    lines = [
        "| judge | metric | statistic | value | interval | prompts | responses | ungraded |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in metrics:
        label = " (simulated)" if row["judge"] in facts.simulated else ""
        model = f", {facts.judges[row['judge']]}" if row["judge"] in facts.judges else ""
        statistic = row["statistic"] if row.get("zeta") is None else f"{row['statistic']} at {row['zeta']:g}"
        lines.append(
            f"| {row['judge']}{model}{label} | {row['metric']} | {statistic} | {row['value']:.2f} | "
            f"{row['lower']:.2f} to {row['upper']:.2f} | {row['prompts']} | {row['responses']} | {row['ungraded']} |"
        )
    return "\n".join(lines)


def _criteria(decision: Mapping[str, Any]) -> str:
    lines = ["| metric | statistic | judge | value | threshold | passed |", "| --- | --- | --- | --- | --- | --- |"]
    for one in decision.get("criteria", []):
        statistic = one["statistic"] if one.get("zeta") is None else f"{one['statistic']} at {one['zeta']:g}"
        judge = "mean of all" if one["judge"] == "mean" else one["judge"]
        value = one["lower"] if one.get("estimate") == "lower" else one["value"]
        passed = "yes" if one["passed"] else "no"
        lines.append(f"| {one['metric']} | {statistic} | {judge} | {value:.2f} | {one['threshold']:.2f} | {passed} |")
    return "\n".join(lines)


def _bullets(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _shown(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
