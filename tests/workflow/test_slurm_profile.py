"""The SLURM profiles and the plan, without a cluster: what a dry-run says with them."""

import re
from pathlib import Path

import pytest
import yaml
from workspace import Workspace

SLURM, SEVERAL_GPUS = ("--profile", "profiles/slurm"), ("--profile", "profiles/slurm-multi-gpu")
PRICES = {"prompt": 1000, "completion": 4000}
DOLLARS = re.compile(r"^(\w+)\s.*?\s([\d,]+\.\d\d( simulated)?( – [\d,]+\.\d\d( simulated)?)?)(\s|$)", re.MULTILINE)
PLANNED = re.compile(r"^(\w+)\s+(\d+)\s.*?(\d[\d,]*)?\s+not there yet", re.MULTILINE)


def dry_run(workspace: Workspace, *arguments: str, site: dict[str, object] | None = None) -> tuple[int, str]:
    file = workspace.folder / "site.yaml"
    file.write_text(yaml.safe_dump(site or {}))
    done = workspace.snakemake(
        *SLURM, *arguments, "--dry-run", "--quiet", "all", "--", "sweep", environment={"LLAMADUO_SITE": str(file)}
    )
    return done.returncode, done.stdout + done.stderr


def gpu_hours(output: str) -> dict[str, int]:
    return {step: int(hours.replace(",", "")) for step, _, hours in PLANNED.findall(output) if hours}


def dollars(output: str) -> dict[str, str]:
    return {match[1]: match[2] for match in DOLLARS.finditer(output)}


def amount(shown: str) -> float:
    return float(shown.removesuffix(" simulated").replace(",", ""))


def test_a_plan_lists_steps_and_gpu_hours_within_the_sites_limits(fresh: Workspace) -> None:
    fresh.change("resources", {"start_minutes": 120})

    status, output = dry_run(fresh)
    capped_status, capped = dry_run(fresh, site={"longest_minutes": 60})

    assert (status, capped_status) == (0, 0), output
    assert re.search(r"^finetune\s+6\s", output, re.MULTILINE)
    assert gpu_hours(output)["respond"] >= 12
    assert gpu_hours(capped)["respond"] == 6, "an hour each at most"
    assert re.search(r"^decide\s+6\s+beside Snakemake", output, re.MULTILINE)


def test_a_plan_tells_what_the_steps_cost(fresh: Workspace) -> None:
    fresh.change("services.grader.price", PRICES)
    # Of a simulated service in a process of its own, which is not there: a plan asks nobody.
    own = {"base_url": "http://127.0.0.1:9", "simulated": True, "mode": "batch", "price": PRICES}
    fresh.change("services.writer", {"provider": "openai", "model": "simulated-writer", **own})

    status, output = dry_run(fresh)

    assert status == 0, output
    shown = dollars(output)
    # In batches what is charged is what is submitted; collecting is free.
    assert set(shown) == {"submit_synthesis", "submit_responses", "judge", "total"}
    assert all(value.endswith(" simulated") for value in shown.values())
    steps = [amount(value) for step, value in shown.items() if step != "total"]
    assert amount(shown["total"]) == pytest.approx(sum(steps), abs=0.02)
    # 9 tables of 6 responses, each graded twice, by prompts of some hundred tokens.
    assert 9 * 6 * 2 * 0.1 < amount(shown["judge"]) < 9 * 6 * 2 * 3
    assert "nobody was asked" in output
    assert not (fresh.folder / "state").exists()


def test_several_gpus_are_asked_for_by_the_second_profile(fresh: Workspace) -> None:
    fresh.change("estimate", {"billion_parameters": {"gemma": 2, "llama": 70}})
    fresh.change("resources", {"start_minutes": 60})

    _, one = dry_run(fresh)
    status, several = dry_run(fresh, *SEVERAL_GPUS, site={"gpus": {"gemma": 1, "llama": 4}})

    assert status == 0, several
    # Three of the six trainings are of each model.
    assert gpu_hours(several)["finetune"] == pytest.approx(gpu_hours(one)["finetune"] / 2 * 5, abs=2)
    assert gpu_hours(several)["respond"] == gpu_hours(one)["respond"]


def test_an_unknown_site_value_is_named_with_the_known_ones(fresh: Workspace) -> None:
    status, output = dry_run(fresh, site={"gpu_partion": "a100"})

    assert status != 0
    assert "site.yaml: unknown key 'gpu_partion'" in output
    assert "gpu_partition" in output
    assert "Traceback" not in output


def test_the_service_steps_stay_beside_the_main_process_where_nodes_have_no_internet(fresh: Workspace) -> None:
    _, jobs = dry_run(fresh)
    _, beside = dry_run(fresh, site={"internet_on_nodes": False})

    for step in ("synthesize", "judge", "respond_service"):
        assert not re.search(rf"^{step}\s.*beside Snakemake", jobs, re.MULTILINE)
        assert re.search(rf"^{step}\s.*beside Snakemake", beside, re.MULTILINE)


def test_the_profile_is_found_by_its_name_in_a_clone() -> None:
    link = Path(__file__).parents[2] / "slurm"
    assert link.readlink() == Path("profiles/slurm")


def test_the_plan_says_what_would_run_again_and_why(finished: Workspace) -> None:
    finished.change("training.learning_rate", 5.0e-4)
    finished.change("services.grader.price", PRICES)

    _, output = dry_run(finished)
    finished.edit("config/prompts.toml", "You grade the answers", "You grade all the answers")
    _, reworded = dry_run(finished)

    assert re.search(r"^finetune\s+6\s+6\s.*settings changed \(6\)", output, re.MULTILINE)
    assert re.search(r"again: finetune: results/runs/animals/\S+/volume-\d+/adapter", output)
    assert "synthesize" not in output.split("why", 1)[1]
    # The journals hold grades of all these responses, which may be the same again; but none by another wording.
    at_best, at_worst = dollars(output)["judge"].split(" – ")
    assert amount(at_best) < 0.7 * amount(at_worst)
    assert amount(dollars(reworded)["judge"]) > amount(at_worst)
