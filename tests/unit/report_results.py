"""A small, realistic results folder for the tests of the report, written as the programs of the workflow write it."""

import json
from math import log2
from pathlib import Path
from typing import Any

from llamaduo.config.root import Config
from llamaduo.decision import decide as decision
from llamaduo.report.verdict import close_run
from llamaduo.storage.files import write_json
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.metrics import METRICS
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.tables import write_rows

VOLUMES = [0, 250, 500, 1000, 2000]
MODELS = {"gemma-2b": 55.0, "mistral-7b": 66.0, "llama-8b": 72.0}
GENERATORS = {"gpt-4o": 4.5, "claude": 3.5}
METRIC_NAMES = ["similarity", "precision"]
HOSTILE = "<script>alert('x')</script> & $\\frac{1}{2}$"


def config(
    tasks: tuple[str, ...] = ("summarization", "closed_qa"),
    generators: tuple[str, ...] = tuple(GENERATORS),
    models: tuple[str, ...] = tuple(MODELS),
    judges: tuple[str, ...] = ("gpt-4o", "gemini"),
    simulated: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """A resolved config."""
    address = {"base_url": "simulated"} if simulated else {}
    providers = {"gpt-4o": "openai", "claude": "anthropic", "gemini": "gemini"}
    values = {
        "coverage": {"source": "data"},
        "tasks": {task: {"generators": list(generators), "volumes": VOLUMES} for task in tasks},
        "services": {
            name: {"provider": provider, "model": f"{name}-9", **address} for name, provider in providers.items()
        },
        "models": {name: {"path": f"models/{name}"} for name in models},
        "judges": list(judges),
        **more,
    }
    return Config.model_validate(values).model_dump(mode="json")


class ResultsFolder:
    """A folder of results under construction."""

    def __init__(self, root: Path, values: dict[str, Any]) -> None:
        self.root, self.values = root, values
        self.settings = Config.model_validate(values)
        self.results, self.state, self.config = root / "results", root / "state", root / "config.json"
        self.results.mkdir(parents=True)
        write_json(self.config, values)

    def baselines(self) -> None:
        for task in self.settings.tasks:
            for service in self.settings.baseline_services(task):
                self.metrics(self.results / "baselines" / task / service, 89.0)
            for model in self.settings.trained_models():
                self.metrics(self.results / "baselines" / task / model, MODELS[model] - 35)

    def run(self, task: str, generator: str, model: str, until: int | None = None) -> dict[str, Any] | None:
        """All cycles up to the run's end, or up to the volume `until`; the verdict, if it has ended."""
        decisions = []
        for volume in self.settings.tasks[task].volumes:
            if until is not None and volume > until:
                return None
            decisions.append(self.cycle(task, generator, model, volume))
            if decisions[-1]["verdict"] != "expand":
                return self.close(task, generator, model, decisions)
        raise AssertionError("the last decision ends every run")

    def cycle(self, task: str, generator: str, model: str, volume: int) -> dict[str, Any]:
        folder = self.folder(task, generator, model, volume)
        rows = self.metrics(folder, self.score(generator, model, volume))
        self.answers(folder, model)
        reference = self.metric_rows(89.0)
        volumes = self.settings.tasks[task].volumes
        at = decision.Cycle(task, folder.parts[-3], model, volume, volumes.index(volume), volume == volumes[-1])
        decided = decision.decide(at, rows, reference, self.settings.decision)
        write_json(folder / "decision.json", decided)
        return decided

    def run_out_of_pool(self, task: str, generator: str, model: str, volume: int) -> dict[str, Any]:
        """A run whose pool does not reach `volume`."""
        decisions = [self.cycle(task, generator, model, before) for before in VOLUMES if before < volume]
        pool = {"volume": volume, "accepted": 310, "generated": 2000, "advice": "raise synthesis.minimum_yield"}
        at = decision.Cycle(task, generator, model, volume, len(decisions), False)
        decided = decision.decide_shortfall(at, pool, self.settings.decision)
        write_json(self.folder(task, generator, model, volume) / "decision.json", decided)
        return self.close(task, generator, model, [*decisions, decided])

    def close(self, task: str, generator: str, model: str, decisions: list[dict[str, Any]]) -> dict[str, Any]:
        verdict = close_run(decisions, generator)
        write_json(self.results / "runs" / task / generator / model / "verdict.json", verdict)
        if verdict["verdict"] == "converged":
            deployed = self.results / "deploy" / task / generator / model
            write_json(
                deployed / "verification.json", {"passed": True, "max_abs_difference": 0.0078, "tolerance": 0.05}
            )
        return verdict

    def folder(self, task: str, generator: str, model: str, volume: int) -> Path:
        return self.results / "runs" / task / (generator if volume else "coverage") / model / f"volume-{volume}"

    def score(self, generator: str, model: str, volume: int) -> float:
        steps = log2(volume / VOLUMES[1]) + 1 if volume else 0
        return min(MODELS[model] + GENERATORS[generator] * steps, 96.0)

    def metrics(self, folder: Path, score: float) -> list[dict[str, Any]]:
        rows = self.metric_rows(score)
        write_rows(folder / "metrics.parquet", rows, METRICS)
        return rows

    def metric_rows(self, score: float) -> list[dict[str, Any]]:
        rows = []
        for place, judge in enumerate(self.settings.judges):
            for lead, metric in enumerate(METRIC_NAMES):
                value = score - 3 * place + 2.5 * lead
                rows.append(self.metric_row(judge, metric, None, value, 3.0))
                for zeta in self.settings.metrics.zeta:
                    rows.append(self.metric_row(judge, metric, zeta, value + 0.3 * (65 - zeta), 6.0))
        return rows

    @staticmethod
    def metric_row(judge: str, metric: str, zeta: float | None, value: float, wide: float) -> dict[str, Any]:
        value = min(max(value, 0.0), 100.0)
        return {
            "judge": judge,
            "metric": metric,
            "statistic": "mean" if zeta is None else "coverage",
            "zeta": zeta,
            "value": value,
            "lower": max(value - wide, 0.0),
            "upper": min(value + wide, 100.0),
            "prompts": 16,
            "responses": 64,
            "ungraded": 1,
        }

    def answers(self, folder: Path, model: str) -> None:
        rows = [self.answer(model, prompt, sample) for prompt in range(3) for sample in range(2)]
        write_rows(folder / "responses.parquet", rows, RESPONSES)
        for judge in self.settings.judges:
            graded = [row | self.grade(judge, number) for number, row in enumerate(rows)]
            write_rows(folder / "grades" / f"{judge}.parquet", graded, grades_schema(METRIC_NAMES))

    @staticmethod
    def answer(model: str, prompt: int, sample: int) -> dict[str, Any]:
        instruction = f"Summarize article {prompt}. {HOSTILE} " + "The town council met on Tuesday. " * 30
        return {
            "instructions": instruction,
            "target_responses": "The council met and agreed on the budget.",
            "candidate_responses": f"The council met. {HOSTILE} (answer {prompt}.{sample})",
            "model_id": model,
            "model_sha": "0" * 16,
            "prompt_id": f"prompt-{prompt}",
            "sample": sample,
            "finish_reason": "length" if sample else "stop",
            "prompt_tokens": 210,
            "completion_tokens": 12,
            "messages": [{"role": "user", "content": instruction}],
        }

    @staticmethod
    def grade(judge: str, number: int) -> dict[str, Any]:
        score = None if number == 5 else 40.0 + 10 * number
        grades: dict[str, Any] = {"eval_prompts": "Grade it.", "evaluators": judge, "dates": "2026-11-21T03:00:00Z"}
        for metric in METRIC_NAMES:
            grades |= {
                f"{metric}_scores": score,
                f"{metric}_grades": [score, score],
                f"{metric}_reasons": [f"It {HOSTILE} says so.", None],
            }
        return grades

    def pool(self, task: str, generator: str, chunks: int = 12, accepted: int = 1100) -> None:
        generated = chunks * 150
        reasons = {"unparsable": 40, "exact_duplicate": 60, "near_duplicate": 210, "contaminated": 15}
        left = generated - sum(reasons.values())
        reasons["not_novel"] = left - accepted
        stages, rows = [{"stage": "generated", "rows": generated}], generated
        filters = ["unparsable", None, "exact_duplicate", "near_duplicate", "not_novel", "contaminated"]
        names = ["parsed", "rules", "exact", "minhash", "novelty", "decontamination"]
        for name, reason in zip(names, filters, strict=True):
            rows -= reasons.get(reason, 0) if reason else 0
            stages.append({"stage": name, "rows": rows})
        funnel = {
            "stages": stages,
            "generated": generated,
            "unparsable": 40,
            "accepted": accepted,
            "reasons": dict(sorted(reasons.items())),
        }
        folder = self.results / "synthesis" / task / generator / f"chunks-{chunks}"
        write_json(folder / "funnel.json", funnel)
        words = {"words": 9000, "distinct_1": 0.125, "distinct_2": 0.5, "distinct_3": 0.75}
        each = {"rows": 150, "accepted": accepted // chunks, "repeated": 20, "trigrams": 1000}
        diversity = {
            "rows": accepted,
            "instruction": words,
            "response": words,
            "openings": {"distinct": 321, "most_frequent": [{"words": f"write {HOSTILE}", "rows": 77}]},
            "chunks": [each | {"new_trigrams": 1000 - 50 * number} for number in range(chunks)],
        }
        write_json(folder / "diversity.json", diversity)

    def measured(self, task: str, generator: str, volume: int, chunks: int) -> None:
        """Say which pool a volume is drawn from."""
        write_json(self.results / "synthesis" / task / generator / f"volume-{volume}.json", {"chunks": chunks})

    def journal(self, place: str, service: str, calls: int, **answer: Any) -> Path:
        """A journal of so many calls; every fifth was asked a second time."""
        path = self.state / "journal" / f"{place}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        settings = self.settings.services[service]
        with path.open("a") as lines:
            for number in range(calls):
                request = {"provider": settings.provider, "model": settings.model, "replicate": number}
                request |= {"attempt": int(number % 5 == 4), "messages": [], "schema": None}
                answered = {
                    "text": "{}",
                    "stop_reason": "stop",
                    "prompt_tokens": 100,
                    "completion_tokens": 20,
                    "date": f"2026-11-21T03:{number % 60:02d}:00Z",
                } | answer
                lines.write(json.dumps({"key": f"{place}-{number}", "request": request, "answer": answered}) + "\n")
        return path


def grid(root: Path, tasks: tuple[str, ...] = ("summarization", "closed_qa")) -> ResultsFolder:
    """Six runs per task: most have ended, one ran out of its pool, one is in the middle of a cycle."""
    folder = ResultsFolder(root, config(tasks=tasks))
    folder.baselines()
    for task in folder.settings.tasks:
        for generator in GENERATORS:
            for model in MODELS:
                if (task, generator, model) == ("closed_qa", "claude", "gemma-2b"):
                    folder.run_out_of_pool(task, generator, model, 1000)
                elif (task, generator, model) == ("closed_qa", "claude", "mistral-7b"):
                    folder.run(task, generator, model, until=250)
                    unfinished = folder.folder(task, generator, model, 500)
                    (unfinished / "adapter").mkdir(parents=True)
                else:
                    folder.run(task, generator, model)
            folder.pool(task, generator, accepted=1100 if generator == "gpt-4o" else 800)
            folder.journal(f"synthesis/{task}/{generator}/chunk-0", generator, 40)
    folder.journal("judging/runs/closed_qa/gpt-4o/gemma-2b/volume-250/gemini", "gemini", 120)
    folder.journal("judging/runs/closed_qa/gpt-4o/gemma-2b/volume-250/gpt-4o", "gpt-4o", 120)
    folder.journal("baselines/closed_qa/gpt-4o", "gpt-4o", 60, stop_reason="refusal")
    return folder
