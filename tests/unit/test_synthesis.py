"""One chunk of synthesis, with the real SDKs against the simulated service."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from coverage_files import Rows, no_robots_rows

from llamaduo.config.services import ServiceSettings
from llamaduo.config.simulation import Faults, Simulation
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.service.client import ask_all
from llamaduo.service.prompts import load
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.synthesis import SYNTHESIS
from llamaduo.synthesis.answers import read_answer
from llamaduo.synthesis.chunks import chunk_calls
from llamaduo.synthesis.measure import measure
from llamaduo.synthesis.seeds import calls
from llamaduo.synthesis.synthesize import requests
from llamaduo.synthesis.synthesize import rows as rows_of

ROOT = Path(__file__).parents[2]
PROMPTS = load(ROOT / "config" / "prompts.toml").generator
SETTINGS = SynthesisSettings(pairs_per_call=4, chunk_calls=6)


def service(provider: str = "openai", **faults: float) -> ServiceSettings:
    return ServiceSettings(
        provider=provider,
        model="some-model",
        base_url="simulated",
        simulation=Simulation(faults=Faults(**faults)),
    )


def one_chunk(folder: Path, asked: ServiceSettings, chunk: int = 0) -> Rows:
    drawn = calls(
        no_robots_rows(range(10)),
        chunk_calls(chunk, SETTINGS),
        seeds_per_call=SETTINGS.seeds_per_call,
        task="rivers",
        generator="gpt",
        seed=1,
    )
    questions = requests(drawn, asked, SETTINGS, PROMPTS, "rivers")
    outcomes = ask_all("gpt", asked, questions, read_answer, folder / f"chunk-{chunk}.jsonl", "rivers gpt")
    return rows_of(drawn, "gpt", outcomes)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_a_chunk_holds_the_pairs_of_its_calls_in_order(tmp_path: Path, provider: str) -> None:
    rows = one_chunk(tmp_path, service(provider))

    assert [row["prompt_ids"] for row in rows] == [
        f"gpt/{call}/{position}" for call in range(6) for position in range(4)
    ]
    assert all(row["error"] is None and len(row["messages"]) == 2 for row in rows)
    tables.write_rows(tmp_path / "chunk.parquet", rows, SYNTHESIS)


def test_a_seed_that_comes_round_again_is_answered_anew(tmp_path: Path) -> None:
    # given ten seeds, so that the call numbered 10 begins the second turn
    rows = [row for chunk in (0, 1, 2) for row in one_chunk(tmp_path, service(), chunk)]

    texts = [json.dumps(row["messages"]) for row in rows]
    assert len({row["seed_prompts"] for row in rows}) == 10
    assert len(set(texts)) > 0.9 * len(texts)


def test_what_is_in_the_journal_is_not_asked_again(tmp_path: Path) -> None:
    first = one_chunk(tmp_path, service())
    paid = (tmp_path / "chunk-0.jsonl").read_bytes()

    assert one_chunk(tmp_path, service()) == first
    assert (tmp_path / "chunk-0.jsonl").read_bytes() == paid


def test_malformed_answers_and_refusals_are_kept_as_rows_with_their_reason(tmp_path: Path) -> None:
    rows = one_chunk(tmp_path, service(malformed=0.6, refusal=0.2))

    failed = [row for row in rows if row["messages"] is None]
    assert failed
    assert all(row["error"] for row in failed)
    assert {row["call"] for row in rows} == set(range(6))
    tables.write_rows(tmp_path / "chunk.parquet", rows, SYNTHESIS)


def test_by_hand_the_program_writes_the_same_chunk_twice(tmp_path: Path) -> None:
    tables.write_rows(tmp_path / "train.parquet", no_robots_rows(range(10)), COVERAGE)
    outputs = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    for output in outputs:
        options = {
            "train": tmp_path / "train.parquet",
            "task": "rivers",
            "generator": "gpt",
            "service": service().model_dump_json(),
            "settings": SETTINGS.model_dump_json(),
            "prompts": PROMPTS.model_dump_json(),
            "topic": "rivers",
            "chunk": 1,
            "seed": 1,
            "asking.journals": tmp_path / "state",
            "asking.step": "journal",
            "output": output,
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        subprocess.run([sys.executable, str(ROOT / "scripts" / "synthesize.py"), *given], check=True, timeout=60)

    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert len(tables.read_rows(outputs[0], SYNTHESIS)) == 24


def test_a_prompt_without_a_placeholder_is_refused_before_any_call(tmp_path: Path) -> None:
    tables.write_rows(tmp_path / "train.parquet", no_robots_rows(range(10)), COVERAGE)
    command = [
        *(sys.executable, str(ROOT / "scripts" / "synthesize.py"), f"--train={tmp_path / 'train.parquet'}"),
        *("--task=rivers", "--generator=gpt", f"--service={service().model_dump_json()}", "--settings={}"),
        *('--prompts={"user": "$seeds $topic"}', "--chunk=0", f"--asking.journals={tmp_path}", "--asking.step=j"),
        f"--output={tmp_path / 'out.parquet'}",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert "$count missing" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "j.jsonl").exists()


def test_a_pool_that_falls_short_says_which_settings_to_change() -> None:
    rejected = measure({"generated": 4000, "unparsable": 0, "accepted": 300}, 1000, 31, SETTINGS)
    refused = measure({"generated": 400, "unparsable": 370, "accepted": 20}, 1000, 31, SETTINGS)
    enough = measure({"generated": 1100, "unparsable": 0, "accepted": 1000}, 1000, 20, SETTINGS)

    assert "curation.rouge_threshold" in rejected["advice"]
    assert "pairs_per_call" in refused["advice"]
    assert all("synthesis.minimum_yield" in measured["advice"] for measured in (rejected, refused))
    assert (enough["reached"], enough["advice"]) == (True, "")


def test_a_change_of_the_chunks_size_asks_for_the_new_calls_only(tmp_path: Path) -> None:
    tables.write_rows(tmp_path / "train.parquet", no_robots_rows(range(10)), COVERAGE)
    journals, log = tmp_path / "journals", tmp_path / "served.jsonl"
    journals.mkdir()
    (journals / "notes.jsonl").write_text("not a journal\n")
    asked = service()
    asked = asked.model_copy(update={"simulation": asked.simulation.model_copy(update={"log": str(log)})})

    def chunk(number: int, chunk_calls: int) -> Rows:
        options = {
            "train": tmp_path / "train.parquet",
            "task": "rivers",
            "generator": "gpt",
            "service": asked.model_dump_json(),
            "settings": SETTINGS.model_copy(update={"chunk_calls": chunk_calls}).model_dump_json(),
            "prompts": PROMPTS.model_dump_json(),
            "chunk": number,
            "asking.journals": journals,
            "asking.step": f"chunk-{number}",
            "output": tmp_path / "chunk.parquet",
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        subprocess.run([sys.executable, str(ROOT / "scripts" / "synthesize.py"), *given], check=True, timeout=60)
        return tables.read_rows(tmp_path / "chunk.parquet", SYNTHESIS)

    def served() -> int:
        return len(log.read_text().splitlines())

    small = [row for number in range(3) for row in chunk(number, chunk_calls=2)]
    assert served() == 6

    large = chunk(0, chunk_calls=4)
    assert served() == 6
    large += chunk(1, chunk_calls=4)
    assert served() == 8

    assert large[: len(small)] == small
