"""A site's values: from the options that the profile gives, and from the user's own file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from llamaduo.workflow.site import Site
from snakemake_executor_plugin_llamaduo.settings import ExecutorSettings, settings_of_start

PROFILE = yaml.safe_load((Path(__file__).parents[2] / "profiles/slurm/config.yaml").read_text())


@pytest.fixture
def site_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text("")
    monkeypatch.setenv("LLAMADUO_SITE", str(file))
    return file


def settings_by(*options: str) -> ExecutorSettings:
    """The settings that Snakemake makes of options on its command line, or of a profile."""
    plugin = ExecutorPluginRegistry().get_plugin("llamaduo")
    parser = ArgumentParser()
    plugin.register_cli_args(parser, "executor")
    return plugin.get_settings(parser.parse_args(options))


def test_the_sites_file_wins_over_the_profile(site_file: Path) -> None:
    site_file.write_text(
        "gpu_partition: a100\nlongest_minutes: 2880\njobs: 50\npreemptible: true\ncpu_partition: null\n"
    )

    settings = settings_by("--llamaduo-gpu-partition=gpu", "--llamaduo-cpu-partition=cpu", "--llamaduo-account=mine")

    assert (settings.gpu_partition, settings.cpu_partition, settings.account) == ("a100", None, "mine")
    assert (settings.longest_minutes, settings.jobs) == (2880, 50)
    assert (settings.requeue, settings.no_requeue) == (True, False)
    assert settings.defaults() == {"slurm_account": "mine"}
    assert settings_of_start() is settings


def test_the_profile_is_plain_and_names_only_what_there_is(site_file: Path) -> None:
    names = {f"llamaduo-{name.replace('_', '-')}" for name in ExecutorSettings.__dataclass_fields__}
    own = {name: value for name, value in PROFILE.items() if name.startswith("llamaduo-")}
    assert own.keys() <= names
    assert "__use_yte__" not in PROFILE

    settings = settings_by(*(f"--{name}={value}" for name, value in own.items() if value is not None))

    assert settings.site == Site(1440, 500_000, {}, 0, 8, False, True, 20)
    asked, threads = settings.overwritten()
    assert asked["finetune"] == {"slurm_partition": "gpu", "gpu_model": "a100", "nodes": 1}
    assert threads == {"respond": 8, "respond_untuned": 8}


def test_options_of_several_words_are_read(site_file: Path) -> None:
    settings = settings_by(
        *("--llamaduo-gpus", "llama3-8b=4", "gemma-2b=2"),
        *("--llamaduo-requests", "curate:mem_mb=64000", "curate:threads=4", "judge:slurm_extra=--nice=5"),
        *("--llamaduo-internet-on-nodes", "False", "--llamaduo-large-model-gpus", "4"),
    )

    assert settings.gpus == {"llama3-8b": 4, "gemma-2b": 2}
    asked, threads = settings.overwritten()
    assert (asked["curate"], threads["curate"]) == ({"mem_mb": 64000}, 4)
    assert asked["judge"] == {"slurm_extra": "--nice=5"}
    assert settings.site.services_on_login_node
    assert settings.site.large_model_gpus == 4


def test_what_a_rule_asks_for_is_cut_to_what_the_site_allows(site_file: Path) -> None:
    site_file.write_text("longest_minutes: 60\nrequests: {curate: {runtime: 100, mem_mb: 5}}")
    assert settings_by().overwritten()[0]["curate"] == {"runtime": 60, "mem_mb": 5}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("1440", 1440), ("24:00:00", 1440), ("2-00:00:00", 2880), ("'1-12:00:00'", 2160), ("14400", 14400)],
)
def test_the_longest_time_may_be_written_as_slurm_does(site_file: Path, text: str, minutes: int) -> None:
    """YAML reads 24:00:00 as 86400."""
    site_file.write_text(f"longest_minutes: {text}")
    assert settings_by().longest_minutes == minutes


def test_a_time_in_the_profile_is_not_taken_for_minutes(site_file: Path) -> None:
    """It arrives as a number of seconds; in quotes it arrives as it is."""
    assert settings_by("--llamaduo-longest-minutes=24:00:00").longest_minutes == 1440
    with pytest.raises(SystemExit) as refused:
        settings_by("--llamaduo-longest-minutes=86400")
    assert refused.value.code == (
        "error: profiles/slurm/config.yaml: llamaduo-longest-minutes: 86400: is it a time, which YAML reads as "
        "seconds? Write 1440, or '24:00:00' in quotes; if minutes are meant, 60-00:00:00"
    )


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("longest_minutes", "two days", "must be a whole number of minutes, 1 or more, or a time such as 1-00:00:00"),
        ("longest_minutes", 0, "must be a whole number of minutes"),
        ("largest_mb", 0.5, "must be a whole number of MB, 1 or more"),
        ("account", 1234, "must be text in quotes, or null"),
        ("preemptible", "no", "must be true or false"),
        ("gpus", 4, "must name models with their numbers of GPUs"),
        ("gpus", {"llama3-8b": "4"}, "must name models with their numbers of GPUs"),
        ("gpu_model", "gpu:a100:4", "must be only the type, such as a100 of gpu:a100:4, or null"),
        ("gpu_option", "gpu", "must be gpus or gres"),
        ("requests", {"curate": 64000}, "must name rules with what they ask for"),
        ("requests", {"curate": {"threads": "many"}}, "threads must be a whole number"),
        ("requests", {"curate": {"mem_bm": 64000}}, "there is no 'mem_bm'; known are mem_mb, runtime, threads"),
        ("requests", {"curate": {"tasks": 1.5}}, "tasks must be a whole number, or text"),
        ("array_limit", 0, "must be a whole number of jobs, 1 or more"),
    ],
)
def test_a_value_of_another_kind_is_named_with_what_would_be_right(
    site_file: Path, key: str, value: Any, right: str
) -> None:
    site_file.write_text(yaml.safe_dump({key: value}))
    with pytest.raises(SystemExit) as refused:
        settings_by()
    assert str(refused.value.code).startswith(f"error: {site_file}: {key}: {value!r}: {right}")


def test_a_wrong_option_is_named_as_the_profile_has_it(site_file: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        settings_by("--llamaduo-preemptible", "maybe")
    expected = "error: profiles/slurm/config.yaml: llamaduo-preemptible: 'maybe': must be true or false"
    assert refused.value.code == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gpu_partion: a100", "unknown key 'gpu_partion'; known are "),
        ("- gpu_partition", "must have lines such as 'gpu_partition: a100'"),
        ("a: b: c", "not YAML: "),
    ],
)
def test_a_wrong_file_is_named(site_file: Path, text: str, complaint: str) -> None:
    site_file.write_text(text)
    with pytest.raises(SystemExit) as refused:
        settings_by()
    assert str(refused.value.code).startswith(f"error: {site_file}: {complaint}")


def test_a_named_file_must_be_there(site_file: Path) -> None:
    site_file.unlink()
    with pytest.raises(SystemExit) as refused:
        settings_by()
    assert refused.value.code == f"error: LLAMADUO_SITE: {site_file}: no such file"
