"""The SLURM profiles and the plan, without a cluster: what a dry-run says with them."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from workspace import Workspace

SLURM, SEVERAL_GPUS = ("--profile", "profiles/slurm"), ("--profile", "profiles/slurm-multi-gpu")
PRICES = {"prompt": 1000, "completion": 4000}
DOLLARS = re.compile(r"^(\w+)\s.*?\s([\d,]+\.\d\d( simulated)?( – [\d,]+\.\d\d( simulated)?)?)(\s|$)", re.MULTILINE)
STEPS = ("finetune", "read_coverage")
SUBMISSIONS, ON_CLUSTER = r"^Submissions: (\d+) at least", r"^total\s+\d+\s+(\d+) on a cluster"
NO_LIMITS = {"longest_minutes": 10**6, "largest_mb": 10**6}
PLANNED = re.compile(r"^(\w+)\s+(\d+)\s+(?:beside Snakemake\s+)?(?:(\d[\d,]*)(?=\s))?.*not there yet", re.MULTILINE)


def dry_run(
    workspace: Workspace,
    *arguments: str,
    site: Mapping[str, object] | None = None,
    shown: tuple[str, ...] = ("--quiet", "all"),
) -> tuple[int, str]:
    file = workspace.folder / "site.yaml"
    file.write_text(yaml.safe_dump(site or {}))
    done = workspace.snakemake(
        *SLURM, *arguments, "--dry-run", *shown, "--", "sweep", environment={"LLAMADUO_SITE": str(file)}
    )
    return done.returncode, done.stdout + done.stderr


def found(pattern: str, output: str) -> re.Match[str]:
    match = re.search(pattern, output, re.MULTILINE)
    assert match, output
    return match


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


def test_a_plan_is_made_where_slurm_does_not_tell_its_partitions(fresh: Workspace) -> None:
    """As to ordinary users of a cluster with PrivateData=nodes."""
    (fresh.folder / "bin").mkdir()
    # The plugin looks for squeue as well, which need not be on this machine, and asks it nothing in a dry-run.
    for name in ("sinfo", "squeue"):
        program = fresh.folder / "bin" / name
        program.write_text("#!/bin/sh\necho 'slurm_load_node: Access/permission denied' >&2\nexit 1\n")
        program.chmod(0o755)
    path = {"PATH": f"{fresh.folder / 'bin'}:{os.environ['PATH']}"}

    done = fresh.snakemake(*SLURM, "--dry-run", environment=path)

    assert done.returncode == 0, done.stderr
    assert "Requests are not compared with what the cluster's partitions have: sinfo" in done.stdout
    assert "permission denied" in done.stdout
    assert gpu_hours(done.stdout)["finetune"] > 0


def test_several_gpus_are_asked_for_by_the_second_profile(fresh: Workspace) -> None:
    """Large models get four, which divide the time of training, unless the site has another number for a model."""
    fresh.change("estimate", {"billion_parameters": {"gemma": 2, "llama": 70}})
    fresh.change("resources", {"start_minutes": 60})

    _, one = dry_run(fresh)
    status, several = dry_run(fresh, *SEVERAL_GPUS)
    _, by_site = dry_run(fresh, *SEVERAL_GPUS, site={"gpus": {"gemma": 2, "llama": 1}})

    assert status == 0, several
    # Of six trainings of an hour, which take hardly more than to start, three are of each model.
    assert gpu_hours(one)["finetune"] == pytest.approx(3 + 3, abs=1)
    assert gpu_hours(several)["finetune"] == pytest.approx(3 + 3 * 4, abs=1)
    assert gpu_hours(by_site)["finetune"] == pytest.approx(3 * 2 + 3, abs=1)
    assert gpu_hours(several)["respond"] == gpu_hours(one)["respond"]


def test_time_memory_and_cores_follow_the_gpus_and_all_are_on_one_node(fresh: Workspace) -> None:
    fresh.change("resources", {"start_minutes": 60})
    fresh.change("training.max_steps", 100_000_000)
    show_requests(fresh)

    asked = {}
    for gpus in (1, 2):
        status, output = dry_run(
            fresh, "--cores", "99", site={"gpus": dict.fromkeys(("gemma", "llama"), gpus), **NO_LIMITS}, shown=()
        )
        assert status == 0, output
        asked[gpus] = requests_of("finetune", output)

    assert all(asked[1][name] * 2 == asked[2][name] for name in ("gpu", "mem_mb", "threads")), asked
    assert asked[1]["runtime"] - 60 == pytest.approx(2 * (asked[2]["runtime"] - 60), abs=2)
    assert asked[2]["nodes"] == 1


def test_quality_of_service_and_features_are_asked_for_where_the_site_names_them(fresh: Workspace) -> None:
    show_requests(fresh)

    status, output = dry_run(fresh, site={"qos": "long", "gpu_constraint": "a100_80gb"}, shown=())
    _, plain = dry_run(fresh, shown=())

    assert status == 0, output
    training, coverage = (resources_of(step, output) for step in STEPS)
    assert "qos=long" in training
    assert "constraint=a100_80gb" in training
    assert "qos=long" in coverage
    assert "constraint" not in coverage
    assert "qos=" not in plain


def test_requests_on_the_command_line_leave_the_rest_of_the_sites_values(fresh: Workspace) -> None:
    show_requests(fresh)
    own = ("--default-resources", "disk_mb=7", "--set-resources", "finetune:mem_mb=5000")

    status, output = dry_run(fresh, *own, shown=())

    assert status == 0, output
    training, coverage = (resources_of(step, output) for step in STEPS)
    assert all(asked in training for asked in ("slurm_partition=gpu", "gpu_model=a100", "mem_mb=5000"))
    assert all(asked in coverage for asked in ("slurm_partition=cpu", "disk_mb=7"))


def show_requests(workspace: Workspace) -> None:
    """Have a dry-run print what jobs ask for, which it does where a rule has no message of its own."""
    for file in ("training", "coverage"):
        rule = workspace.folder / f"rules/{file}.smk"
        rule.write_text(re.sub(r"    message:\n.*\n", "", rule.read_text()))


def job_of(step: str, output: str) -> str:
    """What a dry-run prints of the first job of a rule: the indented lines after its name."""
    return found(rf"^rule {step}:\n((?: +.*\n)+)", output)[1]


def resources_of(step: str, output: str) -> str:
    return found(r"^ +resources: (.*)$", job_of(step, output))[1]


def requests_of(step: str, output: str) -> dict[str, int]:
    """What the first job of a rule asks for, as a dry-run prints it."""
    job = job_of(step, output)
    threads = re.search(r"threads: (\d+)", job)
    asked = {name: int(value) for name, value in re.findall(r"(gpu|mem_mb|nodes|runtime)=(\d+)", job)}
    return asked | {"threads": int(threads.group(1)) if threads else 1}


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("longest_minutes", "two days", "must be a whole number of minutes"),
        ("largest_mb", 0.5, "must be a whole number of MB"),
        ("account", 1234, "must be text"),
        ("preemptible", "no", "must be true or false"),
        ("gpus", 4, "must name models with their numbers of GPUs"),
        ("gpu_model", "gpu:a100:4", "must be only the type, such as a100 of gpu:a100:4, or null"),
        ("requests", {"curate": 64000}, "must name rules with what they ask for"),
        ("requests", {"curate": {"threads": "many"}}, "threads must be a whole number"),
        ("requests", {"curate": {"mem_bm": 64000}}, "there is no 'mem_bm'; known are mem_mb, runtime, threads"),
        ("requests", {"curate": {"tasks": 1.5}}, "tasks must be a whole number, or text"),
    ],
)
def test_a_site_value_of_another_kind_is_named_with_what_would_be_right(
    fresh: Workspace, key: str, value: object, right: str
) -> None:
    status, output = dry_run(fresh, site={key: value})

    assert status != 0
    assert f"site.yaml: {key}: {value!r}: {right}" in output
    assert "Traceback" not in output


def test_partitions_are_chosen_by_their_limits(fresh: Workspace) -> None:
    site = {"cpu_partition": None, "gpu_partition": None, "partition_config": "partitions.yaml"}
    (fresh.folder / "partitions.yaml").write_text("partitions: {cpu: {max_runtime: 1440}, gpu: {max_gpu: 4}}\n")

    status, output = dry_run(fresh, site=site, shown=())

    assert status == 0, output
    assert "slurm_partition" not in output, "the plugin chooses, as it submits"


def test_the_readme_counts_the_jobs_of_the_papers_grid_as_the_plan_does(fresh: Workspace) -> None:
    paper = Path(__file__).parents[2]
    shutil.copy(paper / "config/config.yaml", fresh.folder / "config.yaml")

    status, output = dry_run(fresh)

    assert status == 0, output
    steps, submitted, hours = found(r"^total\s+(\d+)\s+(\d+) on a cluster\s+([\d,]+)", output).groups()
    beside = int(steps) - int(submitted)
    told = " ".join((paper / "README.md").read_text().split())
    assert f"is {int(steps):,} steps, {beside:,} of which run beside Snakemake" in told
    assert f"in seconds and {int(submitted):,} on the cluster" in told
    submissions = found(SUBMISSIONS, output)[1]
    assert f"in {submissions} submissions at the least" in told
    _, without_internet = dry_run(fresh, site={"internet_on_nodes": False})
    left, few = (int(found(number, without_internet)[1]) for number in (ON_CLUSTER, SUBMISSIONS))
    assert f"{left} steps in {few} submissions are left" in told
    assert gpu_hours(output).keys() == {"finetune", "respond", "respond_untuned"}
    assert int(hours.replace(",", "")) == pytest.approx(sum(gpu_hours(output).values()), abs=3)


def test_what_a_single_rule_asks_for_can_be_set(fresh: Workspace) -> None:
    """Nothing else of it changes, and nothing of other rules."""
    show_requests(fresh)
    own = {
        "read_coverage": {"mem_mb": 64000, "runtime": 10**6, "tasks": 0},
        "finetune": {"threads": 3, "slurm_extra": "--nice=5"},
    }

    _, before = dry_run(fresh, "--cores", "99", shown=())
    status, output = dry_run(fresh, "--cores", "99", site={"requests": own}, shown=())

    assert status == 0, output
    training, coverage = (requests_of(step, output) for step in STEPS)
    assert training == requests_of("finetune", before) | {"threads": 3}
    assert coverage == requests_of("read_coverage", before) | {"mem_mb": 64000, "runtime": 1440}
    assert "slurm_extra=--nice=5" in resources_of("finetune", output)
    assert "gpu_model=a100" in resources_of("finetune", output)


def test_steps_that_ask_a_service_at_the_same_time_are_fewer_submissions(fresh: Workspace) -> None:
    """Nine tables are graded by one judge: in nine rounds, or by three at once in three."""
    _, one = dry_run(fresh)
    fresh.change("services.grader.steps_at_once", 3)
    _, three = dry_run(fresh)

    before, after = (int(found(SUBMISSIONS, plan)[1]) for plan in (one, three))
    assert before - after == 9 - 3


def test_a_request_for_a_rule_that_is_not_there_is_refused(fresh: Workspace) -> None:
    status, output = dry_run(fresh, site={"requests": {"curat": {"mem_mb": 64000}}})

    assert status != 0
    assert "the site's requests: 'curat' is no rule of " in output
    assert "Traceback" not in output


def test_an_unknown_site_value_is_named_with_the_known_ones(fresh: Workspace) -> None:
    status, output = dry_run(fresh, site={"gpu_partion": "a100"})

    assert status != 0
    assert "site.yaml: unknown key 'gpu_partion'" in output
    assert "gpu_partition" in output
    assert "Traceback" not in output


def test_the_service_steps_stay_beside_the_main_process_where_nodes_have_no_internet(fresh: Workspace) -> None:
    status, jobs = dry_run(fresh)
    status_beside, beside = dry_run(fresh, site={"internet_on_nodes": False})

    assert (status, status_beside) == (0, 0), jobs + beside
    for step in ("synthesize", "judge", "respond_service"):
        assert re.search(rf"^{step}\s", jobs, re.MULTILINE)
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
