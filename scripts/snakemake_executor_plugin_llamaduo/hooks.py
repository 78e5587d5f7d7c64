"""What happens before the first job and after the last."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llamaduo.cli.logs import ends_of_logs
from llamaduo.config.root import Config
from llamaduo.storage.canonical import canonical
from llamaduo.storage.files import read_json, write_json
from llamaduo.workflow.layout import Results, State
from llamaduo.workflow.prefetch import cache_of, is_prefetched
from llamaduo.workflow.preflight import engines, services_to_ask
from llamaduo.workflow.provenance import record_start
from llamaduo.workflow.settings import Steps
from snakemake_executor_plugin_llamaduo.executor import REFUSED
from snakemake_executor_plugin_llamaduo.job_facts import Job, logs_of

LOOKING = {"status", "estimate", "report", "prefetch"}
"""Targets that make nothing that a main process could be making: its lock and its failures are left alone."""
WITH_MODELS = {"finetune", "respond", "respond_untuned", "deploy_model"}
"""Rules that read weights."""
WITHOUT_VERDICTS = {"estimate", "pilot", "prefetch", "status"}
"""Rules that print tables of their own."""
NOTHING_STARTED = "nothing was started"


@dataclass(frozen=True)
class Hooks:
    """`config_key` spells a key of the config with its file and line; `scripts` is the folder of the programs."""

    workflow: Any
    config: Config
    config_name: str
    config_key: Callable[..., str]
    steps: Steps
    scripts: str
    has_conda: bool
    signals: list[int] = field(default_factory=list)

    @property
    def results(self) -> Results:
        """The folder of all artifacts."""
        return Results(Path(self.config.results))

    @property
    def settings(self) -> Path:
        """The resolved config, for reading."""
        return self.results.note("config.json")

    def use_prefetched(self) -> None:
        """With all that the config needs in the cache, no job asks the Hub for anything."""
        record = State(Path(self.config.state)).prefetched
        if not record.is_file():
            return
        prefetched = read_json(record)
        if is_prefetched(self.config, prefetched):
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        # The cache that was filled, also by what is fetched later.
        if not {"HF_HOME", "HF_HUB_CACHE"} & os.environ.keys() and Path(cache := cache_of(prefetched)).is_absolute():
            os.environ.update(HF_HUB_CACHE=cache)

    def only_looks(self) -> bool:
        """Whether nothing is asked for but looking."""
        targets = set(map(str, self.workflow.dag_settings.targets))
        return bool(targets) and targets <= LOOKING

    def prepare(self) -> None:
        """Write the settings, then refuse wrong input before anything is paid for.

        Looked at is what the planned jobs will use, and what may follow behind their checkpoints.
        """
        self._note_signals()
        jobs = list(self.workflow.dag.needrun_jobs())
        rules = {job.rule.name for job in jobs}
        if rules == {"status"}:
            write_json(self.results.note("status.json"), self.config.model_dump(mode="json"))
            return
        try:
            write_json(self.settings, self.config.model_dump(mode="json"))
            if not rules <= LOOKING:
                self._failed.unlink(missing_ok=True)
                self.steps.write()
            record_start(self.results.note("starts.jsonl"), self.config_name)
        except OSError as error:
            sys.exit(f"error: {self.config_key('results')}: {error.strerror}, {NOTHING_STARTED}")
        self._check(jobs, rules)

    def _check(self, jobs: list[Job], rules: set[str]) -> None:
        leads_on = "decide" in rules and "sweep" not in rules
        computes = leads_on or bool(rules & WITH_MODELS)
        needs_vllm = computes and not self.has_conda and "vllm" in engines(self.config)
        if needs_vllm and importlib.util.find_spec("vllm") is None:
            key = self.config_key("inference", "engine")
            sys.exit(f"{key}: vllm is not installed here: run with --sdm conda, {NOTHING_STARTED}")
        asked = services_to_ask(self.config, [(job.rule.name, job.wildcards_dict) for job in jobs], leads_on)
        done = self._run(
            "preflight.py",
            *("--config", self.settings, "--services", canonical(sorted(asked))),
            *("--models", str(computes).lower(), "--coverage", str("read_coverage" in rules).lower()),
        )
        if done.returncode:
            sys.exit(f"{self.config_name}: {NOTHING_STARTED}, see the message above.")

    def show_summary(self, failed: bool = False) -> None:
        """The table of verdicts, whether or not all went well; nothing after what has its own."""
        if WITHOUT_VERDICTS & {job.rule.name for job in self.workflow.dag.jobs}:
            return
        folders = ("--results", self.config.results, "--state", self.config.state, "--config", self.settings)
        self._run("report.py", *folders, "--output", self.results.report(), "--table")
        self._run("status.py", "--config", self.settings, "--usage")
        if not failed:
            return
        jobs = self.workflow.scheduler.failed
        self.note_failed(jobs)
        if self.signals:
            print("interrupted: the same command continues.")
            return
        # Of a job on a cluster they are shown as soon as it fails.
        beside = [log for job in jobs if self.workflow.local_exec or job.is_local for log in logs_of(job)]
        print("\n".join(ends_of_logs(beside)), file=sys.stderr)
        print(f"Some jobs failed; their logs are under {self.results.logs}. `snakemake report` renders what exists.")

    def note_failed(self, jobs: Iterable[Job]) -> None:
        """Remember steps that have failed in their last attempt, for the status."""
        noted = read_json(self._failed)["failed"] if self._failed.is_file() else []
        for job in jobs:
            log = str(next(iter(logs_of(job)), ""))
            step = {"rule": job.rule.name, "outputs": [str(file) for file in job.output], "log": log}
            step |= {"reason": REFUSED[job]} if job in REFUSED else {}
            noted += [step] if step not in noted else []
        write_json(self._failed, {"failed": noted})

    @property
    def _failed(self) -> Path:
        return self.results.note("failed.json")

    def _run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, f"{self.scripts}/{program}", *map(str, arguments)]
        return subprocess.run(command, check=False)  # noqa: S603 - the workflow's own programs

    def _note_signals(self) -> None:
        """Remember Ctrl-C and SIGTERM before Snakemake acts on them: it calls both a failure."""

        def noting(act: Callable[..., Any]) -> Callable[..., Any]:
            def note(number: int, frame: Any) -> None:
                self.signals.append(number)
                act(number, frame)

            return note

        for number in (signal.SIGINT, signal.SIGTERM):
            act = signal.getsignal(number)
            if callable(act):
                signal.signal(number, noting(act))
