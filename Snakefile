import sys
from importlib.util import find_spec
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27.0")

# `make setup` installs the packages where they are. Those of another clone would be another code than the rules'.
SCRIPTS = str(Path(workflow.basedir) / "scripts")
package = find_spec("llamaduo")
if package is None or not Path(package.origin).resolve().is_relative_to(Path(SCRIPTS).resolve()):
    found = f"those of {Path(package.origin).parents[2]}" if package else "none"
    sys.exit(f"error: the packages in {SCRIPTS} are not installed in this environment, {found}: run make setup there")


# A config given with --configfile replaces this one; it is not merged into it.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/start.smk"
include: "rules/prefetch.smk"
include: "rules/coverage.smk"
include: "rules/synthesis.smk"
include: "rules/training.smk"
include: "rules/inference.smk"
include: "rules/judging.smk"
include: "rules/decision.smk"
include: "rules/deployment.smk"
include: "rules/report.smk"
include: "rules/batches.smk"
include: "rules/money.smk"


wildcard_constraints:
    task=any_of(CONFIG.tasks),
    generator=any_of([WITHOUT_GENERATOR, *CONFIG.services]),
    model=any_of(CONFIG.models),
    service=any_of(CONFIG.services),
    judge=any_of(CONFIG.judges),
    volume=r"\d+",
    chunk=r"\d+",
    chunks=r"\d+",
    subject=SUBJECT_PATTERN,
    step=BATCHES_PATTERN,


# The targets, and steps of seconds on one core, for which a job would wait longer than it runs. They run beside the
# main process, five at a time at most.
localrules:
    all,
    sweep,
    coverage,
    prefetch,
    deploy,
    report,
    measure_pool,
    build_dataset,
    compute_metrics,
    decide,
    assess,
    close_run,
    write_report,
    write_sweep_report,


rule all:
    default_target: True
    input:
        RESULTS.report(),
        LOOP.verdicts(),


rule sweep:
    input:
        RESULTS.report("sweep"),
        LOOP.decisions_of_sweep(),
        LOOP.verdicts(),


rule coverage:
    input:
        [RESULTS.split(task, split) for task in CONFIG.tasks for split in ("train", "test")],


rule deploy:
    input:
        LOOP.verdicts(),


onstart:
    HOOKS.prepare()


onsuccess:
    HOOKS.show_summary()


onerror:
    HOOKS.show_summary(failed=True)
