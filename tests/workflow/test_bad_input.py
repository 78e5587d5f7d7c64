"""What a user can get wrong: one clear message, exit status other than 0, no traceback, before any service call."""

import json
import re
from collections.abc import Callable

import pytest
from workspace import Workspace, pairs


def write_rows(workspace: Workspace, rows: list[dict], split: str = "train") -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (workspace.folder / "pairs" / f"{split}.jsonl").write_text(text)


def train_with(**changes: object) -> Callable[[Workspace], None]:
    """The train split with some keys of its second row changed; None removes a key everywhere."""

    def change(workspace: Workspace) -> None:
        rows = pairs(12)
        for key, value in changes.items():
            if value is None:
                for row in rows:
                    del row[key]
            else:
                rows[1][key] = value
        write_rows(workspace, rows)

    return change


def setting(path: str, value: object) -> Callable[[Workspace], None]:
    return lambda workspace: workspace.change(path, value)


def turns(*pairs_of_role_and_content: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in pairs_of_role_and_content]


def not_what_its_name_says(workspace: Workspace) -> None:
    folder = workspace.folder / "pairs"
    (folder / "train.jsonl").rename(folder / "train.parquet")


def invalid_utf8(workspace: Workspace) -> None:
    path = workspace.folder / "pairs" / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"otter", b"\xff\xfe", 1))


def empty_test_split(workspace: Workspace) -> None:
    (workspace.folder / "pairs" / "test.jsonl").write_text("")


def same_id_twice(workspace: Workspace) -> None:
    rows = pairs(12)
    rows[5]["prompt_id"] = rows[2]["prompt_id"]
    write_rows(workspace, rows)


def a_file_in_the_way(workspace: Workspace) -> None:
    (workspace.folder / "taken").write_text("not a folder")
    workspace.change("results", "taken")


def a_file_above_the_state(workspace: Workspace) -> None:
    (workspace.folder / "taken").write_text("not a folder")
    workspace.change("state", "taken/state")


def key_given_twice(workspace: Workspace) -> None:
    with (workspace.folder / "config.yaml").open("a") as file:
        file.write("judges: [writer]\n")


def real_service(workspace: Workspace) -> None:
    workspace.change("services.writer", {"provider": "openai", "model": "gpt-4o"})


def no_reference(workspace: Workspace) -> None:
    path = workspace.folder / "config" / "prompts.toml"
    path.write_text(path.read_text().replace("$reference", "reference"))


CASES: dict[str, tuple[Callable[[Workspace], None], list[str]]] = {
    "unknown key": (setting("coverage.sorce", "x"), ["config.yaml", "coverage.sorce"]),
    "unknown key at the top": (setting("judgez", []), ["config.yaml", "judgez"]),
    "wrong type": (setting("judging.grades", "many"), ["config.yaml", "judging.grades", "'many'"]),
    "key given twice": (key_given_twice, ["config.yaml", "judges: the key is also on line"]),
    "results is a file": (a_file_in_the_way, ["config.yaml", "results: taken is a file, where a folder is needed"]),
    "state below a file": (
        a_file_above_the_state,
        ["config.yaml", "state: taken/state cannot be written: Not a directory"],
    ),
    "epsilon of 200": (setting("decision.epsilon.mean", 200), ["decision.epsilon.mean", "100", "200"]),
    "unknown provider": (setting("services.writer.provider", "opneai"), ["services.writer.provider", "anthropic"]),
    "unknown judge": (setting("judges", ["nobody"]), ["judges", "nobody", "grader"]),
    "no such folder": (setting("coverage.source", "./nowhere"), ["nowhere", "no such"]),
    "no such file": (setting("coverage.source", "./nowhere.jsonl"), ["nowhere.jsonl", "no such"]),
    "no such model": (setting("models.gemma.path", "./no-model"), ["models.gemma.path", "no-model"]),
    "no such category": (setting("tasks.animals.categories", ["Plants"]), ["Plants", "Animals"]),
    "not what its name says": (not_what_its_name_says, ["train.parquet"]),
    "missing column": (train_with(messages=None), ["train.jsonl", "messages"]),
    "empty test split": (empty_test_split, ["test", "empty"]),
    "blank response": (train_with(messages=turns(("user", "Why?"), ("assistant", " \n"))), ["train.jsonl", "2"]),
    "unknown role": (
        train_with(messages=turns(("user", "Why?"), ("bot", "Because."))),
        ["train.jsonl", "bot", "assistant"],
    ),
    "same prompt_id twice": (same_id_twice, ["train.jsonl", "pair-2"]),
    "invalid UTF-8": (invalid_utf8, ["train.jsonl", "UTF-8"]),
    "missing API key": (real_service, ["services.writer", "OPENAI_API_KEY", "SERVICE_LLM_API_KEY"]),
    "prompt without placeholder": (no_reference, ["prompts.toml", "judge", "$reference"]),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_ends_in_one_clear_message(fresh: Workspace, case: str) -> None:
    change, expected = CASES[case]
    log = fresh.folder / "served.jsonl"
    for service in ("writer", "grader"):
        fresh.change(f"services.{service}.simulation", {"log": str(log)})
    change(fresh)

    done = fresh.snakemake("--profile", "profiles/demo", "--cores", "1")

    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in output, output[-3000:]
    for part in expected:
        assert part in output, output[-3000:]
    if "config.yaml" in expected:
        assert re.search(r"^error: config\.yaml:\d+: ", output, re.MULTILINE), output[-3000:]
    assert not log.exists(), "a service was called"
    assert not (fresh.folder / "results" / "coverage").exists(), "a job was started"


SECRET = "sk-secret-of-this-test"


def assert_is_nowhere(secret: str, workspace: Workspace, output: str) -> None:
    assert secret not in output
    for path in workspace.folder.rglob("*"):
        if path.is_file() and path.suffix in {".json", ".jsonl", ".log", ".yaml", ""}:
            assert secret.encode() not in path.read_bytes(), path


def test_a_key_pasted_into_the_config_is_refused_and_appears_nowhere_else(fresh: Workspace) -> None:
    real_service(fresh)
    fresh.change("services.writer.api_key", SECRET)

    done = fresh.snakemake("--profile", "profiles/demo", "--cores", "1")

    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "services.writer.api_key: looks like an API key; it is not shown" in output
    (fresh.folder / "config.yaml").unlink()
    assert_is_nowhere(SECRET, fresh, output)


def test_a_key_given_in_the_environment_appears_nowhere(fresh: Workspace) -> None:
    real_service(fresh)
    fresh.change("services.writer.base_url", "http://127.0.0.1:9")
    fresh.change("services.writer.retries", 0)
    done = fresh.snakemake(
        "--profile",
        "profiles/demo",
        "--cores",
        "1",
        "results/baselines/animals/writer/responses.parquet",
        environment={"OPENAI_API_KEY": SECRET},
    )

    assert done.returncode != 0
    assert "127.0.0.1:9" in done.stdout + done.stderr or "writer" in done.stdout + done.stderr
    assert_is_nowhere(SECRET, fresh, done.stdout + done.stderr)


def test_words_in_braces_in_the_configs_texts_are_no_wildcards(fresh: Workspace) -> None:
    (fresh.folder / "own").mkdir()
    for split, rows in (("train", pairs(12)), ("test", pairs(3, start=100))):
        own = [{"{prompt}": row["prompt"], "the {answer}": row["messages"][1]["content"], "k": "{A}"} for row in rows]
        (fresh.folder / "own" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    columns = {"prompt": "{prompt}", "response": "the {answer}", "category": "k"}
    fresh.change("coverage", {"source": "own", "columns": columns})
    fresh.change("tasks.animals.categories", ["{A}"])
    fresh.change("tasks.animals.topic", "about {animals} and {task}")
    fresh.change("curation.rules", {"blocklist": ["never {word} this"]})
    fresh.edit("config/prompts.toml", '[judge]\nsystem = """\n', '[judge]\nsystem = """\nMind {this}.\n')
    fresh.edit("config/prompts.toml", '[generator]\nsystem = """\n', '[generator]\nsystem = """\nMind {that}.\n')

    assert fresh.plan("sweep")  # which makes the params of every rule
    fresh.run("results/synthesis/animals/writer/chunk-0.parquet")

    journal = (fresh.folder / "state/journal/synthesis/animals/writer/chunk-0.jsonl").read_text()
    assert "about {animals} and {task}" in journal
    assert "Mind {that}." in journal
