"""Keys of services: used, and told nowhere."""

from pathlib import Path

from leaks import COMMAND_LINES, FAKE_KEY, FAKE_KEYS, command_lines_with, files_with
from workspace import Workspace

from llamaduo.config.simulation import Simulation
from llamaduo.simulated.log import count_served
from llamaduo.simulated.server import running


def test_a_whole_sweep_with_keys_in_its_environment_leaves_none_of_them(swept: Workspace) -> None:
    assert (swept.folder / ".snakemake" / "metadata").is_dir()
    assert files_with(FAKE_KEY, swept.folder) == []
    assert (swept.folder / COMMAND_LINES).read_text() == ""


def test_steps_that_need_a_key_use_it_and_tell_it_nowhere(fresh: Workspace, tmp_path: Path) -> None:
    """A service that takes this key only and is not known as simulated; also what is told when it is the wrong one."""
    log = tmp_path / "served.jsonl"
    temporary = fresh.folder / "tmp"
    temporary.mkdir()
    with running(Simulation(key=FAKE_KEY, log=str(log))) as address, command_lines_with(FAKE_KEY) as told:
        fresh.change("services.writer", {"provider": "openai", "model": "gpt-4o", "base_url": f"{address}/v1"})
        fresh.change("services.grader", {"provider": "anthropic", "model": "claude-sonnet-4-5", "base_url": address})
        fresh.change("budget_usd", 100)
        fresh.change("synthesis.pairs_per_call", 25)
        environment = FAKE_KEYS | {"TMPDIR": str(temporary)}
        targets = ("pilot", "results/synthesis/animals/writer/chunk-0.parquet")
        fresh.run(*targets, environment=environment)
        fresh.change("seed", 7)  # other seeds, so that there is something to ask
        wrong = dict.fromkeys(FAKE_KEYS, f"{FAKE_KEY}-but-wrong")
        refused = fresh.snakemake(
            "--profile", "profiles/demo", "--cores", "1", *targets[1:], environment=environment | wrong
        )

    served = count_served(log)
    assert served.by_role["generator"] == 2, "the chunk asked again for what the pilot had paid for"
    assert refused.returncode != 0
    assert "OPENAI_API_KEY" in refused.stdout + refused.stderr
    assert FAKE_KEY not in refused.stdout + refused.stderr
    assert told == []
    assert files_with(FAKE_KEY, fresh.folder) == []
