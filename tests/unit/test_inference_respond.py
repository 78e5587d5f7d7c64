"""The program respond.py: the table, K, kills, adapters, prompts that do not fit, and what it says."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_models import build_tiny_model

from llamaduo.cli.errors import InputError
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings
from llamaduo.inference.respond import load_engine, respond, summary
from llamaduo.storage import tables
from llamaduo.storage.lease import LeaseHeld, lease
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.tables import Row

PROGRAM = Path(__file__).parents[2] / "scripts" / "respond.py"
SETTINGS = InferenceSettings(samples=2, max_new_tokens=12, temperature=1.0, batch_tokens=400)
Answer = Callable[..., list[Row]]


def coverage_rows() -> list[Row]:
    words = ["Hello world?", "Answer: yes, no.", "The parcel was left at a neighbour. " * 3, "Hello world?"]
    rows: list[Row] = []
    for number, prompt in enumerate(words):
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": f"reference {number}"}]
        rows.append({"prompt": prompt, "prompt_id": f"p{number}", "messages": turns, "category": "Chat"})
    rows[1]["messages"].insert(0, {"role": "system", "content": "You are brief."})
    return rows


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model("gemma", tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture
def answer(base: Path, tmp_path: Path) -> Answer:
    def ask(settings: InferenceSettings = SETTINGS, rows: Sequence[Row] | None = None, **keys: Any) -> list[Row]:
        model = keys.pop("model", ModelSettings(path=str(base)))
        state = keys.pop("state", tmp_path / "state")
        return respond(rows or coverage_rows(), model, "tiny", keys.get("adapter"), settings, state)

    return ask


def changed(settings: InferenceSettings, **keys: Any) -> InferenceSettings:
    return settings.model_copy(update=keys)


def texts(rows: Sequence[Row]) -> list[str]:
    return [row["candidate_responses"] for row in rows]


def lines_in(state: Path) -> list[str]:
    return [line for file in sorted(state.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]


def test_the_table_has_k_responses_per_prompt_in_the_order_of_the_prompts(answer: Answer, tmp_path: Path) -> None:
    rows = answer()
    assert [(row["prompt_id"], row["sample"]) for row in rows] == [
        (f"p{n}", sample) for n in range(4) for sample in (0, 1)
    ]
    assert [row["target_responses"] for row in rows[::2]] == [f"reference {n}" for n in range(4)]
    assert rows[0]["instructions"] == "Hello world?"
    assert rows[2]["instructions"] == "[system]\nYou are brief.\n\n[user]\nAnswer: yes, no."
    assert [turn["role"] for turn in rows[2]["messages"]] == ["system", "user"]
    assert all(row["model_id"] == "tiny" and len(row["model_sha"]) == 64 for row in rows)
    assert all(0 < row["completion_tokens"] <= 12 and row["prompt_tokens"] > 5 for row in rows)
    assert len(set(texts(rows))) == 8, "also the responses to equal prompts differ"
    tables.write_rows(tmp_path / "responses.parquet", rows, RESPONSES)


def test_the_same_again_computes_nothing(answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = answer()
    before = lines_in(tmp_path / "state")
    capsys.readouterr()
    assert answer() == first
    assert lines_in(tmp_path / "state") == before
    assert "8/8" in capsys.readouterr().err.splitlines()[0], "known from the start"


def test_a_larger_k_computes_the_new_samples_only(answer: Answer, tmp_path: Path) -> None:
    two = answer()
    before = lines_in(tmp_path / "state")
    three = answer(changed(SETTINGS, samples=3))
    after = lines_in(tmp_path / "state")
    assert [row for row in three if row["sample"] < 2] == two
    assert after[: len(before)] == before and len(after) == 12
    assert texts(three) == texts(answer(changed(SETTINGS, samples=3), state=tmp_path / "afresh"))
    assert answer() == two, "and a smaller K is a part of it"


def test_the_batch_budget_is_no_part_of_the_result(answer: Answer, tmp_path: Path) -> None:
    assert answer() == answer(changed(SETTINGS, batch_tokens=1), state=tmp_path / "one by one")
    answer(changed(SETTINGS, batch_tokens=2))
    assert len(lines_in(tmp_path / "state")) == 8


def test_prompts_taken_away_or_added_leave_the_others_as_they_were(answer: Answer, tmp_path: Path) -> None:
    every = answer()
    assert answer(rows=coverage_rows()[2:], state=tmp_path / "other") == every[4:]


@pytest.mark.parametrize("other", [{"seed": 43}, {"temperature": 0.9}, {"top_k": 5}, {"max_new_tokens": 11}])
def test_other_settings_are_other_responses(other: dict[str, Any], answer: Answer, tmp_path: Path) -> None:
    one = texts(answer())
    assert texts(answer(changed(SETTINGS, **other))) != one
    assert len(lines_in(tmp_path / "state")) == 16
    assert texts(answer()) == one


def test_a_models_own_sampling_settings_win(answer: Answer, base: Path, tmp_path: Path) -> None:
    short = ModelSettings.model_validate({"path": str(base), "generation": {"max_new_tokens": 3}})
    rows = answer(model=short)
    assert all(row["completion_tokens"] <= 3 for row in rows)
    assert texts(rows) == texts(answer(changed(SETTINGS, max_new_tokens=3), state=tmp_path / "other"))


def test_tasks_and_names_of_one_base_are_answered_side_by_side(answer: Answer, base: Path, tmp_path: Path) -> None:
    alone = answer(state=tmp_path / "alone")
    answer()
    (file,) = (tmp_path / "state").glob("*.jsonl")
    with lease(file, "the responses of tiny"):
        assert answer(rows=coverage_rows()[2:]) == alone[4:]
        respond(coverage_rows(), ModelSettings(path=str(base)), "the same base", None, SETTINGS, tmp_path / "state")


def test_an_adapter_is_a_model_of_its_own(answer: Answer, base: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from llamaduo.models.weights import load_base

    torch.manual_seed(0)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(load_base(ModelSettings(path=str(base))), lora).save_pretrained(str(tmp_path / "adapter"))

    tuned = answer(adapter=tmp_path / "adapter")
    untuned = answer()
    elsewhere = ModelSettings(path=str(tmp_path / "adapter"), kind="adapter", base=str(base))

    assert texts(tuned) != texts(untuned)
    assert tuned[0]["model_sha"] != untuned[0]["model_sha"]
    assert answer(model=elsewhere) == tuned, "an adapter tuned elsewhere is loaded in the same way"


def test_the_hash_of_a_model_does_not_tell_where_it_lies(answer: Answer, base: Path, tmp_path: Path) -> None:
    moved = build_tiny_model("gemma", tmp_path / "moved")
    other = build_tiny_model("gemma", tmp_path / "other", seed=1)
    shas = [answer(model=ModelSettings(path=str(folder)))[0]["model_sha"] for folder in (base, moved, other)]
    assert shas[0] == shas[1] != shas[2]


def test_a_prompt_without_room_for_a_response_has_an_empty_one(answer: Answer) -> None:
    rows = coverage_rows()
    rows[0]["messages"][0]["content"] = "Hello? " * 600
    rows[1]["messages"][1]["content"] = rows[0]["messages"][0]["content"][: 7 * 60]
    found = answer(rows=rows)
    assert [(row["candidate_responses"], row["finish_reason"], row["completion_tokens"]) for row in found[:2]] == [
        ("", "length", 0)
    ] * 2
    assert found[0]["prompt_tokens"] > 512
    assert all(text for text in texts(found[2:]))
    assert "8 responses: 2 empty," in summary(found)
    assert "1 test prompts leave no room for a response within the model's positions" in summary(found)


def test_a_conversation_that_the_template_refuses_is_named(answer: Answer, base: Path, tmp_path: Path) -> None:
    template = tmp_path / "strict.jinja"
    template.write_text(
        "{% for m in messages %}{% if m['content'] == 'Hello world?' %}{{ raise_exception('not that') }}{% endif %}"
        "{{ m['content'] }}<end_of_turn>{% endfor %}"
    )
    with pytest.raises(InputError, match=r"test prompt 'p0' \(row 0\): .*not that"):
        answer(model=ModelSettings(path=str(base), chat_template=template))


def test_a_line_that_a_kill_cut_off_is_computed_again(answer: Answer, tmp_path: Path) -> None:
    expected = answer()
    (file,) = (tmp_path / "state").glob("*.jsonl")
    whole = file.read_bytes()
    for cut in (1, 30, len(whole) - 5):
        file.write_bytes(whole[: len(whole) - cut])
        assert answer() == expected
        assert sorted(lines_in(tmp_path / "state")) == sorted(whole.decode().splitlines())


def test_a_damaged_line_is_named(answer: Answer, tmp_path: Path) -> None:
    answer()
    (file,) = (tmp_path / "state").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    for damaged in (b"\xff\xfe\n", b"{}\n", b"\0\0\0\n"):
        file.write_bytes(b"".join([lines[0], damaged, *lines[2:]]))
        with pytest.raises(InputError, match=rf"{file.name}: line 2 is no finished sample: remove the line"):
            answer()


def test_two_processes_do_not_compute_the_same_samples(answer: Answer, tmp_path: Path) -> None:
    answer()
    (file,) = (tmp_path / "state").glob("*.jsonl")
    with lease(file, "the responses of tiny"), pytest.raises(InputError, match="the responses of tiny"):
        answer()


def test_a_process_whose_lease_was_taken_over_appends_nothing_more(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine_that_stood_still(*given: Any) -> Any:
        (record,) = (tmp_path / "state").glob("*.lease")
        record.unlink()
        return load_engine(*given)

    monkeypatch.setattr("llamaduo.inference.respond.load_engine", engine_that_stood_still)

    with pytest.raises(LeaseHeld, match="taken over"):
        answer()

    (file,) = (tmp_path / "state").glob("*.jsonl")
    assert file.read_bytes() == b""


def command(folder: Path, base: Path, **settings: Any) -> list[str]:
    if not (folder / "test.parquet").exists():
        tables.write_rows(folder / "test.parquet", coverage_rows(), COVERAGE)
    chosen = changed(SETTINGS, **settings).model_dump_json()
    files = {"prompts": "test.parquet", "output": "responses.parquet", "state": "state"}
    options = {name: str(folder / file) for name, file in files.items()}
    options |= {"model": json.dumps({"path": str(base)}), "model-name": "tiny", "settings": chosen}
    return [sys.executable, str(PROGRAM), *(f"--{name}={value}" for name, value in options.items())]


def test_killed_in_the_middle_and_started_again_gives_the_same_table(base: Path, tmp_path: Path) -> None:
    # Two real processes, each importing PyTorch: slow, but a kill cannot be shown with less.
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    one_by_one = {"samples": 10, "batch_tokens": 1}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    step = subprocess.Popen(
        command(tmp_path / "killed", base, **one_by_one), env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(lines_in(tmp_path / "killed" / "state")) < 3 and time.monotonic() < deadline:
        assert step.poll() is None
        time.sleep(0.01)
    step.send_signal(signal.SIGKILL)
    step.wait()
    kept = lines_in(tmp_path / "killed" / "state")
    assert 3 <= len(kept) < 40
    assert not (tmp_path / "killed" / "responses.parquet").exists()

    again = subprocess.run(
        command(tmp_path / "killed", base, **one_by_one), env=environment, capture_output=True, text=True, check=True
    )
    chosen = changed(SETTINGS, **one_by_one)
    rows = respond(coverage_rows(), ModelSettings(path=str(base)), "tiny", None, chosen, tmp_path / "whole")
    tables.write_rows(tmp_path / "whole.parquet", rows, RESPONSES)

    assert (tmp_path / "killed" / "responses.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert lines_in(tmp_path / "killed" / "state")[: len(kept) - 1] == kept[:-1], "what was finished stays"
    assert again.stdout == f"tiny: {summary(rows)}\n"


def test_a_users_mistake_is_one_line(tmp_path: Path) -> None:
    asked = [one.replace("test.parquet", "absent.parquet") for one in command(tmp_path, tmp_path)]
    step = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (step.returncode, step.stderr) == (1, f"error: {tmp_path}/absent.parquet: no such file\n")


def test_a_model_or_adapter_that_is_not_there_is_said_before_anything_is_computed(
    answer: Answer, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        answer(model=ModelSettings(path=str(tmp_path / "nowhere")))
    with pytest.raises(InputError, match="absent: no such folder"):
        answer(adapter=tmp_path / "absent")
