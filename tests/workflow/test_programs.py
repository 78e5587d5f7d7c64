"""The programs without Snakemake: what they say of themselves, options in a file, and the whole chain by hand."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from workspace import REPOSITORY, clean_environment, micro_config, pairs

from llamaduo.config.load import validate
from llamaduo.service.prompts import load
from llamaduo.storage.files import read_json
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.metrics import METRICS
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.schemas.synthesis import SYNTHESIS
from llamaduo.storage.tables import read_rows

SCRIPTS = REPOSITORY / "scripts"
PROGRAMS = sorted(path.name for path in SCRIPTS.glob("*.py"))


def program(name: str, *arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder; options that are not text, numbers or paths are given as JSON or as a list."""
    given = list(arguments)
    for key, value in options.items():
        given.append(f"--{key.replace('_', '-')}")
        given += [str(one) for one in value] if isinstance(value, list) else [_text(value)]
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *given],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)


# What a program says of itself


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_tells_what_it_does_and_which_options_it_takes(name: str, tmp_path: Path) -> None:
    description = ast.get_docstring(ast.parse((SCRIPTS / name).read_text(encoding="utf-8")))
    assert description

    done = program(name, "--help", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert " ".join(description.split()) in " ".join(done.stdout.split())
    assert "--from-config" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_option_of_every_program_is_explained(name: str) -> None:
    tree = ast.parse((SCRIPTS / name).read_text(encoding="utf-8"))
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    explained = (ast.get_docstring(main) or "").partition("Args:")[2]

    for option in (*main.args.args, *main.args.kwonlyargs):
        assert f"{option.arg}: " in explained, option.arg


# Options in a file


def write_train(path: Path, count: int = 12, start: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in pairs(count, start)), encoding="utf-8")
    return path


def test_options_are_taken_from_a_file_and_those_given_later_win(tmp_path: Path) -> None:
    write_train(tmp_path / "pairs.jsonl")
    options = {
        "settings": {"source": "pairs.jsonl", "test_ratio": 0.25},
        "categories": ["Animals"],
        "train": "train.parquet",
        "test": "test.parquet",
    }
    (tmp_path / "options.yaml").write_text(yaml.safe_dump(options))

    for arguments, expected in ([], 9), (["--settings.test_ratio", "0.5"], 6):
        done = program("coverage.py", "--from-config", "options.yaml", *arguments, folder=tmp_path)

        assert done.returncode == 0, done.stderr
        assert len(read_rows(tmp_path / "train.parquet", COVERAGE)) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"categoriez": ["Animals"]}, "categoriez"),
        ({"settings": {"source": "pairs.jsonl", "test_ration": 0.25}}, "test_ration"),
        ({"settings": {"source": "pairs.jsonl", "test_ratio": 25}}, "test_ratio"),
        ({"train": None}, "train"),
    ],
)
def test_a_wrong_key_in_the_file_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    options = {"settings": {"source": "pairs.jsonl"}, "categories": [], "train": "a.parquet", "test": "b.parquet"}
    (tmp_path / "options.yaml").write_text(yaml.safe_dump({**options, **change}))

    done = program("coverage.py", "--from-config", "options.yaml", folder=tmp_path)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_options_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = program("coverage.py", "--from-config", "options.yaml", folder=tmp_path)

    assert done.returncode == 2
    assert "options.yaml" in done.stderr
    assert "Traceback" not in done.stderr


# The chain by hand


def test_the_whole_chain_by_hand(tmp_path: Path, models: dict[str, Path]) -> None:
    """One cycle at volume 6 in the places where the workflow puts it. Slow by intent: each step is a process."""
    goal = {"epsilon": {"mean": 0, "coverage": None}}
    tasks = {"animals": {"categories": ["Animals"], "generators": ["writer"], "volumes": [6]}}
    values = micro_config({"llama": models["llama"]}, tasks=tasks, decision=goal)
    config = validate(values, "config.yaml")
    (tmp_path / "config.json").write_text(config.model_dump_json(), encoding="utf-8")
    writer, grader = values["services"]["writer"], values["services"]["grader"]
    model = values["models"]["llama"]
    prompts = load(REPOSITORY / config.prompts)
    for split, start, count in (("train", 0, 12), ("test", 100, 3)):
        write_train(tmp_path / "pairs" / f"{split}.jsonl", count, start)

    coverage, synthesis = tmp_path / "results/coverage/animals", tmp_path / "results/synthesis/animals/writer"
    dataset = tmp_path / "results/datasets/animals/writer/volume-6.parquet"
    run = tmp_path / "results/runs/animals/writer/llama"
    cycle = run / "volume-6"
    pool = synthesis / "chunks-2"
    state = tmp_path / "state"

    def step(name: str, *arguments: str, **options: Any) -> str:
        done = program(name, *arguments, folder=tmp_path, **options)
        assert done.returncode == 0, f"{name}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    train, test = coverage / "train.parquet", coverage / "test.parquet"
    step("coverage.py", settings=values["coverage"], categories=["Animals"], train=train, test=test)
    assert [len(read_rows(path, COVERAGE)) for path in (train, test)] == [12, 3]

    for chunk in (0, 1):
        step(
            "synthesize.py",
            train=train,
            task="animals",
            generator="writer",
            service=writer,
            settings=values["synthesis"],
            prompts=prompts.generator.model_dump(),
            chunk=chunk,
            **{"asking.journals": state, "asking.step": f"chunk-{chunk}"},
            output=synthesis / f"chunk-{chunk}.parquet",
        )
    chunks = [synthesis / f"chunk-{chunk}.parquet" for chunk in (0, 1)]
    assert [len(read_rows(chunk, SYNTHESIS)) for chunk in chunks] == [8, 8]

    files = {name: pool / f"{name}.parquet" for name in ("pool", "rejected")}
    step(
        "curate.py",
        input=chunks,
        train=train,
        test=test,
        settings=values["curation"],
        output=files["pool"],
        rejected=files["rejected"],
        funnel=pool / "funnel.json",
    )
    assert sum(len(read_rows(path, SYNTHESIS)) for path in files.values()) == 16

    measured = synthesis / "volume-6.json"
    wanted = {"volume": 6, "chunks": 2, "settings": values["synthesis"]}
    step("measure_pool.py", funnel=pool / "funnel.json", **wanted, output=measured)
    assert read_json(measured)["reached"] is True

    step("build_dataset.py", train=train, pool=files["pool"], volume=6, output=dataset)
    assert len(read_rows(dataset, DATASET)) == 18

    shown = step("show_example.py", dataset=dataset, model=model, settings=values["training"], row=12)
    assert "mask: exactly the last response" in shown

    adapter = cycle / "adapter"
    step(
        "finetune.py",
        dataset=dataset,
        model=model,
        settings=values["training"],
        state=state / "checkpoints",
        adapter=adapter,
        training=cycle / "training.parquet",
    )
    assert (adapter / "adapter_model.safetensors").is_file()

    responses = cycle / "responses.parquet"
    said = step(
        "respond.py",
        prompts=test,
        model=model,
        model_name="llama",
        adapter=adapter,
        settings=values["inference"],
        state=state / "responses",
        output=responses,
    )
    assert len(read_rows(responses, RESPONSES)) == 3 * 2
    assert "llama: 6 responses" in said

    grades, metrics = cycle / "grades/grader.parquet", cycle / "metrics.parquet"
    step(
        "judge.py",
        responses=responses,
        judge="grader",
        service=grader,
        settings=values["judging"],
        prompts=prompts.judge.model_dump(),
        **{"asking.journals": state, "asking.step": "grades"},
        output=grades,
    )
    graded = config.judging.metrics
    assert all(len(row["similarity_grades"]) == 2 for row in read_rows(grades, grades_schema(graded)))

    step("metrics.py", grades=[grades], settings={}, metrics=graded, output=metrics)
    assert {row["statistic"] for row in read_rows(metrics, METRICS)} == {"mean", "coverage"}

    names = {"task": "animals", "generator": "writer", "model": "llama"}
    decision = cycle / "decision.json"
    step(
        "decide.py",
        metrics=metrics,
        settings=goal,
        **names,
        volume=6,
        cycle=0,
        last=True,
        output=decision,
    )
    assert read_json(decision)["verdict"] == "converged"

    step("close_run.py", decisions=[decision], output=run / "verdict.json")
    verdict = read_json(run / "verdict.json")
    assert (verdict["verdict"], verdict["volume"], verdict["cycles"]) == ("converged", 6, 1)

    deployed = tmp_path / "results/deploy/animals/writer/llama"
    step(
        "deploy.py",
        adapter=adapter,
        model=model,
        names=names,
        decisions=[decision],
        metrics=metrics,
        train=train,
        test=test,
        card={"coverage": "pairs", "generator": "the writer", "judges": {"grader": "a judge"}, "simulated": ["writer"]},
        output=deployed / "model",
        verification=deployed / "verification.json",
    )
    assert (deployed / "model/model.safetensors").is_file()
    assert "simulated" in (deployed / "model/README.md").read_text(encoding="utf-8")

    report = {"results": tmp_path / "results", "state": state, "config": tmp_path / "config.json"}
    page = tmp_path / "results/report/index.html"
    step("report.py", **report, output=page)
    assert "converged" in page.read_text(encoding="utf-8")
    table = step("report.py", "--table", **report, output=page)
    assert "converged" in table
    assert str(page) in table
