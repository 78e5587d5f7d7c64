"""The YAML files of a config: what they may not be, and the line that every message about them names."""

from pathlib import Path

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.config.load import load, validate
from llamaduo.config.sources import read, read_all, refuse_unreadable

GOOD = """\
coverage:
  source: pairs.jsonl
tasks:
  chat:
    generators: [gpt-4.1]
    volumes: [0, 1000]
services:
  gpt-4.1:
    provider: openai
    model: gpt-4.1
models:
  gemma:
    path: google/gemma-2b
judges:
  - gpt-4.1
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my.yaml"


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        load(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (b"judges: [gpt-4.1]\n", "my.yaml:16: judges: the key is also on line 14; remove one of the two"),
        (b"judging:\n  grades: 2\n  grades: 3\n", "my.yaml:18: grades: the key is also on line 17"),
        (b"judging: {grades: 2, grades: 3}\n", "my.yaml:16: grades: the key is also on line 16"),
        (b"judging: {grades: [}\n", "my.yaml:16: not YAML: "),
        (b"judging:\n\tgrades: 2\n", "my.yaml:17: not YAML: found character '\\t' that cannot start any token"),
        (b"judging:\n  grades: 2\n metrics: []\n", "my.yaml:18: not YAML: "),
        (b'results: "unclosed\n', "my.yaml:17: not YAML: found unexpected end of stream"),
        (b"results: !!python/tuple [a]\n", "my.yaml:16: not YAML: could not determine a constructor"),
        (b"results: a\x07b\n", "my.yaml:16: not YAML: the character '\\x07' is not allowed"),
        ("# Prüfung\n".encode("latin-1"), "my.yaml:16: not UTF-8 (found byte 0xfc): save the file in"),
        (b"---\nresults: a\n", "my.yaml:16: not YAML: but found another document"),
        (b"results: 2024-13-01\n", "my.yaml: not YAML: month must be in 1..12"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(here: Path, more: bytes, message: str) -> None:
    assert refusal(here, GOOD.encode() + more).startswith(message)


def test_utf_16_is_called_by_its_name(here: Path) -> None:
    assert refusal(here, GOOD.encode("utf-16")).startswith("my.yaml:1: not UTF-8 (found UTF-16)")


def test_a_byte_order_mark_of_utf_8_does_no_harm(here: Path) -> None:
    here.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(here).judges == ["gpt-4.1"]


def test_json_is_read_with_the_tabs_that_yaml_forbids(here: Path) -> None:
    here.write_text('{\n\t"judges": ["a"],\n\t"judging": {"grades": 2}\n}')
    assert read(here).values == {"judges": ["a"], "judging": {"grades": 2}}
    assert refusal(here, b'{\n\t"judges": ["a"],\n\t"judges": ["b"]\n}').startswith("my.yaml:3: judges: the key is")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("judges:", "judgez: []\njudges:"), "my.yaml:14: judgez: unknown key; did you mean 'judges'?"),
        (("[0, 1000]", "[1000, 0]"), "my.yaml:6: tasks.chat: volumes: must be ascending"),
        (("    volumes: [0, 1000]\n", ""), "my.yaml:4: tasks.chat.volumes: required key is missing"),
        (
            ("    model: gpt-4.1\n", "    model: gpt-4.1\n    retries: often\n"),
            "my.yaml:11: services.gpt-4.1.retries: ",
        ),
        (("  - gpt-4.1", "  - 5"), "my.yaml:15: judges.0: Input should be a valid string (found 5)"),
        (("[gpt-4.1]", "[gpt-5]"), "my.yaml:5: tasks.chat.generators: 'gpt-5' is not one of the services: gpt-4.1"),
        (
            ("judges:", "overrides:\n  - training:\n      epochs: 0\njudges:"),
            "my.yaml:16: overrides.0.training.epochs: ",
        ),
        (
            ("judges:", "decision:\n  epsilon:\n    mean: 200\njudges:"),
            "my.yaml:16: decision.epsilon.mean.absolute: Input should be less than or equal to 100",
        ),
        (("judges:", "budget_usd: 5\njudges:"), "my.yaml:14: budget_usd: what "),
    ],
)
def test_a_wrong_key_is_named_with_its_line(here: Path, change: tuple[str, str], message: str) -> None:
    (here.parent / "prices.yaml").write_text("as_of: 2025-01-01\nprices: {}\n")
    content = (GOOD + "prices: prices.yaml\n").replace(*change)
    assert refusal(here, content.encode()).startswith(message)


def test_the_list_of_prices_names_its_lines_as_well(here: Path) -> None:
    (here.parent / "prices.yaml").write_text("as_of: 2025-01-01\nprices:\n  openai:\n    gpt: {prompt: -1}\n")
    message = "prices.yaml:4: prices.openai.gpt.prompt: Input should be greater than or equal to 0 (found -1)"
    here.write_text(GOOD + "prices: prices.yaml\n")
    with pytest.raises(InputError) as raised:
        load(here)
    assert str(raised.value).splitlines()[0] == message


def test_what_an_alias_or_a_merge_brings_has_the_line_where_it_is_written(here: Path) -> None:
    more = "judging: &few\n  grades: many\ninference: {<<: *few}\n"
    here.write_text(GOOD + more)
    with pytest.raises(InputError) as raised:
        load(here)
    unknown, wrong = sorted(str(raised.value).splitlines())
    assert unknown.startswith("my.yaml:17: inference.grades: unknown key")
    assert wrong.startswith("my.yaml:17: judging.grades: Input should be a valid integer")


def test_an_alias_to_what_it_is_part_of_ends_the_reading_and_not_the_memory(here: Path) -> None:
    here.write_text("tasks: &all\n  chat: *all\n")
    assert read(here).lines.follow(["tasks", "chat", "chat"])[-1].line == 2


def test_of_several_files_the_one_is_named_that_counts(here: Path) -> None:
    here.write_text(GOOD + "judging:\n  grades: 2\n")
    other = here.parent / "other.yaml"
    other.write_text("# Another number of grades.\njudging:\n  grades: 0\n")
    sources = read_all([here, other], {"seed": -1})
    values = {**sources[0].values, **sources[1].values, "seed": -1, "results": "a b"}

    with pytest.raises(InputError) as raised:
        validate(values, sources)

    places = [line.split(": ")[:2] for line in str(raised.value).splitlines()]
    assert ["other.yaml:3", "judging.grades"] in places
    assert ["--config", "seed"] in places


# Snakemake reads the files on its command line before anything of the workflow runs.


@pytest.mark.parametrize(
    "arguments",
    [
        ["--configfile", "my.yaml"],
        ["-n", "--configfile=my.yaml", "sweep"],
        ["--configfiles", "good.yaml", "my.yaml", "--cores", "1"],
    ],
)
def test_a_file_on_the_command_line_that_cannot_be_read_is_refused(here: Path, arguments: list[str]) -> None:
    (here.parent / "good.yaml").write_text(GOOD)
    here.write_text("judging: [\n")
    with pytest.raises(InputError, match=r"^my.yaml:2: not YAML: "):
        refuse_unreadable(arguments)


def test_a_command_line_without_unreadable_files_is_let_through(here: Path) -> None:
    here.write_text(GOOD)
    refuse_unreadable(["sweep", "--configfile", "my.yaml", "--cores", "1"])
    refuse_unreadable(["--cores", "1", "no-file.yaml"])
