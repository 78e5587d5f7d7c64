"""Pools: planted faults are found, pools grow from what is remembered, kills change no byte, and every row is told."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llamaduo.config.curation import FILTERS, CurationSettings
from llamaduo.curation.curate import curate
from llamaduo.curation.curate_files import curate_files
from llamaduo.curation.diversity import Diversity
from llamaduo.curation.explain import Files, explain, nearest
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.pairs import Pair

SCRIPTS = Path(__file__).parents[2] / "scripts"
SETTINGS = CurationSettings.model_validate(
    {"rules": {"scripts": ["LATIN"], "blocklist": ["casino"], "maximum_instruction_words": 200}}
)
FAULTS_OF_EACH_KIND = 10


def sentence(chance, count):
    return " ".join(f"{chance.choice(ONSETS)}{chance.choice(ENDINGS)}{chance.randrange(400)}x" for _ in range(count))


ONSETS, ENDINGS = ["ba", "ke", "li", "mo", "nu", "ra", "si", "to"], ["den", "fir", "gam", "hol", "jun", "pas"]


def good_rows(chance, rows, prefix):
    return [
        {
            "id": f"{prefix}{number}",
            "instruction": f"Tell of {sentence(chance, chance.randrange(9, 40))}.",
            "response": f"Well, {sentence(chance, chance.randrange(12, 60))}.",
            "stop_reason": "stop",
        }
        for number in range(rows)
    ]


def change(text, places, word="changed"):
    words = text.split()
    for place in places:
        words[place % len(words)] = f"{word}{place}"
    return " ".join(words)


def faults_of_each_kind(chance, leak, own):
    """Per reason, how the columns of a row are made from those of a good row and of a fresh one."""
    fresh_instruction, fresh_response = {"instruction": own["instruction"]}, {"response": own["response"]}
    part = " ".join(leak["instruction"].split()[1:11])
    places = range(4, len(leak["instruction"].split()), 6)
    return {
        "unparsable": own | {"instruction": lambda row, fresh: None},
        "no_letters": own | {"response": lambda row, fresh: "... !?"},
        "too_short": own | {"instruction": lambda row, fresh: "Go on"},
        "too_long": own | {"instruction": lambda row, fresh: sentence(chance, 201)},
        "truncated": own | {"stop_reason": lambda row, fresh: "length"},
        "refusal": own | {"response": lambda row, fresh: f"Sorry, but I can't: {fresh['response']}"},
        "response_equals_instruction": fresh_instruction | {"response": own["instruction"]},
        "mentions_image_or_file": own
        | {"instruction": lambda row, fresh: fresh["instruction"] + " See the image below."},
        "unbalanced_code_fence": own | {"response": lambda row, fresh: f"```python\n{fresh['response']}"},
        "blocklist": own | {"response": lambda row, fresh: fresh["response"] + " Visit the Casino!"},
        "wrong_script": own | {"response": lambda row, fresh: "Это ответ на другом языке, а не на том."},
        "exact_duplicate": {"instruction": lambda row, fresh: row["instruction"].upper()},
        "near_duplicate": {"response": lambda row, fresh: change(row["response"], [0])},
        "not_novel": fresh_response | {"instruction": lambda row, fresh: change(row["instruction"], [2, 5])},
        "contaminated_substring": fresh_instruction
        | {"response": lambda row, fresh: f"Well: {leak['response']} And so on."},
        "contaminated_ngrams": own | {"instruction": lambda row, fresh: f"So {part} or {sentence(chance, 5)}"},
        "contaminated_rouge": fresh_response
        | {"instruction": lambda row, fresh: change(leak["instruction"], places, "other")},
    }


def planted(chance, rows, test):
    """Rows with one fault each: per reason, how a good row (another one for each) is spoilt."""

    def spoil(reason, **changes):
        row = {**rows[len(found)], "id": f"{reason}-{len(found)}"}
        fresh = good_rows(chance, 1, "fresh")[0]
        row |= {name: make(row, fresh) for name, make in changes.items()}
        found.append((row, reason))

    def mine(name):
        return lambda row, fresh: fresh[name]

    found: list[tuple[dict, str]] = []
    own = {"instruction": mine("instruction"), "response": mine("response")}
    for number in range(FAULTS_OF_EACH_KIND):
        for reason, changes in faults_of_each_kind(chance, test[number], own).items():
            spoil(reason, **changes)
    return found


def test_a_thousand_rows_with_planted_faults_lose_just_those():
    chance = random.Random(7)
    good = good_rows(chance, 1000 - 17 * FAULTS_OF_EACH_KIND, "good-")
    test = good_rows(chance, 40, "test-")
    faults = planted(chance, good, test)
    rows = good + [row for row, _ in faults]
    chance.shuffle(faults)
    assert len(rows) == 1000
    # Copies come after what they copy; otherwise faults stand anywhere.
    places = sorted(chance.sample(range(len(faults) + 1, 1000), len(faults)))
    rows = list(good)
    for place, (row, _) in zip(places, faults, strict=True):
        rows.insert(place, row)
    expected = {row["id"]: reason for row, reason in faults}
    curated = curate(rows, [], test, SETTINGS)
    assert {rows[at]["id"]: rejection.reason for at, rejection in curated.rejected.items()} == expected
    assert [rows[at]["id"] for at in curated.kept] == [row["id"] for row in good]
    assert set(expected.values()) >= {"unparsable", "near_duplicate", "contaminated_rouge"}
    matched = {rows[at]["id"]: rejection.matched_id for at, rejection in curated.rejected.items()}
    assert all(str(matched[name]).startswith("test-") for name in matched if name.startswith("contaminated"))


def some_rows(count, seed=3):
    """Rows with every degree of likeness to earlier ones."""
    chance = random.Random(seed)
    rows = good_rows(chance, count // 2, "row-")
    while len(rows) < count:
        row = dict(chance.choice(rows))
        row["instruction"] = change(row["instruction"], [chance.randrange(60) for _ in range(chance.randrange(9))])
        rows.append(row | {"id": f"row-{len(rows)}"})
    chance.shuffle(rows)
    return rows


@pytest.mark.parametrize("names", [FILTERS, ["minhash"], ["novelty"]], ids=["all", "minhash", "novelty"])
def test_neither_batches_nor_threads_change_what_any_filter_decides(names):
    rows = some_rows(1000)
    one_by_one = curate(rows[40:], rows[:20], rows[20:40], SETTINGS, names, batch_rows=1)
    for threads, batch_rows in ((1, 100), (3, 1024)):
        options: dict[str, Any] = {"threads": threads, "batch_rows": batch_rows}
        assert curate(rows[40:], rows[:20], rows[20:40], SETTINGS, names, **options) == one_by_one
    assert 120 < len(one_by_one.rejected) < 800


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_chunk_by_chunk_is_all_at_once_and_goes_on_from_what_is_remembered(tmp_path):
    rows = some_rows(1200)
    train, test = write(tmp_path / "train.parquet", rows[:20]), write(tmp_path / "test.parquet", rows[20:40])
    chunks = [
        write(tmp_path / f"chunk-{at}.parquet", rows[start : start + 290])
        for at, start in enumerate(range(40, 1200, 290))
    ]

    def decide(count, state):
        return curate_files(chunks[:count], train, test, None, SETTINGS, FILTERS, state, 1)

    whole = decide(4, None)
    state = tmp_path / "state"
    for count in (1, 3, 4, 4):
        grown = decide(count, state)
        # What is remembered of a pool is all that is left of it, and one file.
        assert len(list(state.iterdir())) == 1
    assert grown.decisions == whole.decisions
    assert grown.funnel == whole.funnel
    assert grown.diversity() == whole.diversity()
    size = grown.decisions.rows
    assert [at for at in whole.decisions.kept if at < 290] == decide(1, None).decisions.kept
    assert size == 1160


def test_what_is_remembered_is_taken_only_for_what_it_was_made_from(tmp_path):
    rows = some_rows(300)
    train, first = write(tmp_path / "train.parquet", rows[:20]), write(tmp_path / "a.parquet", rows[20:150])
    state = tmp_path / "state"
    curate_files([first], train, None, None, SETTINGS, FILTERS, state, 1)
    (remembered,) = state.iterdir()
    before = remembered.read_bytes()
    stricter = SETTINGS.model_copy(update={"rouge_threshold": 0.3})
    found = curate_files([first], train, None, None, stricter, FILTERS, state, 1).decisions
    assert found == curate_files([first], train, None, None, stricter, FILTERS, None, 1).decisions
    # Outdated pools are forgotten; a damaged one is made anew.
    assert not remembered.exists()
    (remembered,) = state.iterdir()
    remembered.write_bytes(before[: len(before) // 2])
    assert curate_files([first], train, None, None, stricter, FILTERS, state, 1).decisions == found


def test_killed_in_the_middle_and_run_again_gives_the_same_bytes(tmp_path):
    source = write(tmp_path / "in.parquet", some_rows(3500))

    def command(name):
        outputs = ("--output", tmp_path / name / "kept.parquet", "--rejected", tmp_path / name / "rejected.parquet")
        more = ("--funnel", tmp_path / name / "funnel.json", "--diversity", tmp_path / name / "diversity.json")
        state = ("--state", tmp_path / name / "state")
        return [sys.executable, SCRIPTS / "curate.py", "--input", source, *outputs, *more, *state]

    def contents(name):
        return {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.*")}

    environment = os.environ | {"PYTHONHASHSEED": "1"}
    subprocess.run(command("whole"), check=True, capture_output=True, env=environment)
    killed = subprocess.Popen(command("killed"), stderr=subprocess.PIPE, text=True)
    assert killed.stderr
    assert killed.stderr.readline().startswith("curate:")
    time.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert contents("killed") == {}
    subprocess.run([*command("killed"), "--threads", "1"], check=True, capture_output=True)
    assert contents("killed") == contents("whole")
    assert len(contents("whole")) == 4


def test_diversity_counts_distinct_ngrams_openings_and_what_each_chunk_adds():
    texts = ["Please write a story about bees", "Write the story about bees", "Name two rivers", "日本の川"]
    found = Diversity()
    found.add([Pair(str(number), text, "so it is") for number, text in enumerate(texts)])
    figures = found.figures([(3, 2, 1), (5, 0, 0), (2, 2, 0)])
    assert figures["rows"] == 4
    # 18 words: please write a story about bees | write the story about bees | name two rivers | four characters
    assert figures["instruction"]["words"] == 18
    assert figures["instruction"]["distinct_1"] == round(14 / 18, 6)
    assert figures["response"] == {
        "words": 12,
        "distinct_1": 0.25,
        "distinct_2": 0.25,
        "distinct_3": 0.25,
    }
    assert figures["openings"]["most_frequent"][0] == {"words": "write story", "rows": 2}
    assert figures["openings"]["distinct"] == 3
    assert [(chunk["trigrams"], chunk["new_trigrams"]) for chunk in figures["chunks"]] == [(7, 6), (0, 0), (3, 3)]


def test_diversity_of_nothing_is_zero():
    assert Diversity().figures([])["instruction"] == {
        "words": 0,
        "distinct_1": 0.0,
        "distinct_2": 0.0,
        "distinct_3": 0.0,
    }


KEPT = [
    {"id": "k1", "instruction": "Tell me about the first king of France", "response": "Clovis."},
    {"id": "k2", "instruction": "Tell me about the second king of Spain", "response": "Philip."},
    {"id": "k3", "instruction": "Name a river", "response": "Rhine."},
]
REJECTED = [
    {
        "id": "r1",
        "instruction": "Tell me about the second king of France",
        "response": "Him.",
        "reason": "not_novel",
        "matched_id": "k1",
        "score": 0.875,
    }
]


def test_a_row_is_explained_with_its_match_and_its_nearest_kept_neighbour():
    told = explain(Files({"kept": KEPT, "rejected": REJECTED}), "r1", None, False, 50)
    assert "decision: rejected: not_novel, score 0.875000" in told
    assert "matched:  k1" in told
    assert "nearest:  k1 (kept:0), ROUGE-L F 0.875000" in told
    kept = explain(Files({"kept": KEPT}), "kept:1", None, False, 50)
    assert "decision: kept" in kept
    assert "nearest:  k1 (kept:0), ROUGE-L F 0.750000" in kept
    steering = explain(Files({"kept": KEPT}), None, "Name a \x1b[31mriver", False, 50)
    assert "nearest:  k3" in steering


def test_the_nearest_neighbour_is_that_of_a_plain_loop():
    from curation_oracles import scorer

    rows = some_rows(300)
    places = Files({"kept": rows[20:]}).places["kept"]
    for row in rows[:20]:
        scores = [
            scorer(False).score(place.pair.instruction if place.pair else "", row["instruction"])["rougeL"].fmeasure
            for place in places
        ]
        found = nearest(row["instruction"], places, RougeTokens(False, 50))
        assert found
        assert (found.place.position, found.score) == (scores.index(max(scores)), max(scores))


def test_the_program_that_explains_names_what_can_be_asked_for(tmp_path):
    (tmp_path / "kept.jsonl").write_text("".join(json.dumps(row) + "\n" for row in KEPT))
    command = [sys.executable, SCRIPTS / "explain_row.py", "--kept", tmp_path / "kept.jsonl"]
    done = subprocess.run([*command, "--row", "k2"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("row:      k2 (kept:1)\ndecision: kept\n")
    failed = subprocess.run([*command, "--row", "k9"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert (
        failed.stderr == "error: row: 'k9' is no identifier and no place in kept (3 rows); a place is written kept:0\n"
    )
