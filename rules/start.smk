"""What happens before the first job and after the last."""

import signal

import snakemake.logging

# The steps that failed in the last start.
FAILED = Path(results("settings/failed.json"))
# Targets that make nothing that a main process could be making: its lock and its failures are left alone.
LOOKING = {"status", "estimate", "report", "prefetch"}
# Rules that read weights.
WITH_MODELS = {"finetune", "respond", "respond_untuned", "deploy_model"}
NOTHING_STARTED = "nothing was started"
# The signals that ended this start of the workflow.
SIGNALS = []


# So many lines of a failed job's log are shown.
LINES_OF_FAILED = 30


def ends_of_logs(logs):
    """What Snakemake shows of a failed job's logs: as it comes it shows them whole, up to the first that is empty."""
    for log in logs:
        lines = last_lines(Path(log), LINES_OF_FAILED)
        yield f"{log}: {'its last lines:' if lines else 'nothing is in it'}"
        yield from (f"  | {line}" for line in lines)


snakemake.logging.show_logs = ends_of_logs


# What `prefetch` has fetched. With all that the config needs in the cache, no job asks the Hub for anything.
PREFETCHED = state("prefetched.json")
if Path(PREFETCHED).is_file():
    prefetched = read_json(Path(PREFETCHED))
    if is_prefetched(CONFIG, prefetched):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # The cache that was filled, also by what is fetched later.
    if not {"HF_HOME", "HF_HUB_CACHE"} & os.environ.keys() and Path(cache := cache_of(prefetched)).is_absolute():
        os.environ.update(HF_HUB_CACHE=cache)


def prepare_start():
    """Write the settings for reading, then refuse wrong input before anything is paid for.

    Looked at is what the planned jobs will use, and what may follow behind their checkpoints.
    """
    note_signals()
    jobs = list(workflow.dag.needrun_jobs())
    rules_to_run = {job.rule.name for job in jobs}
    if rules_to_run == {"status"}:
        write_json(Path(results("settings/status.json")), CONFIG.model_dump(mode="json"))
        return
    try:
        if not rules_to_run <= LOOKING:
            FAILED.unlink(missing_ok=True)
        write_json(Path(results("settings/config.json")), CONFIG.model_dump(mode="json"))
        record_start(Path(results("settings/starts.jsonl")), CONFIG_NAME)
    except OSError as error:
        sys.exit(f"error: {config_key('results')}: {error.strerror}, {NOTHING_STARTED}")
    leads_on = "decide" in rules_to_run and "sweep" not in rules_to_run
    computes = leads_on or bool(rules_to_run & WITH_MODELS)
    if computes and not WITH_CONDA and "vllm" in engines() and importlib.util.find_spec("vllm") is None:
        sys.exit(
            f"{config_key('inference', 'engine')}: vllm is not installed here: run with --sdm conda, {NOTHING_STARTED}"
        )
    check = [sys.executable, f"{SCRIPTS}/preflight.py", "--config", results("settings/config.json")]
    check += ["--services", canonical(sorted(services_to_ask(jobs, leads_on)))]
    check += ["--models", str(computes).lower()]
    check += ["--coverage", str("read_coverage" in rules_to_run).lower()]
    if subprocess.run(check, check=False).returncode:
        sys.exit(f"{CONFIG_NAME}: {NOTHING_STARTED}, see the message above.")


def note_signals():
    """Remember Ctrl-C and SIGTERM before Snakemake acts on them: it calls both a failure."""

    def noting(act):
        def note(number, frame):
            SIGNALS.append(number)
            act(number, frame)

        return note

    for number in (signal.SIGINT, signal.SIGTERM):
        act = signal.getsignal(number)
        if callable(act):
            signal.signal(number, noting(act))


def only_looks():
    """Whether nothing is asked for but looking."""
    targets = set(map(str, workflow.dag_settings.targets))
    return bool(targets) and targets <= LOOKING


def engines():
    """The inference engines that some cycle uses."""
    return {CONFIG.inference.engine, *(override.inference.get("engine") for override in CONFIG.overrides)}


def services_to_ask(jobs, leads_on):
    """The services that planned jobs call, or that jobs may call which a decision or a pool's yield asks for."""
    asked = {"synthesize": "generator", "judge": "judge", "respond_service": "service"}
    names = {job.wildcards_dict[asked[job.rule.name]] for job in jobs if job.rule.name in asked}
    if leads_on or "pilot" in {job.rule.name for job in jobs}:
        names |= set(services_used(CONFIG))
    if {"curate", "measure_pool"} & {job.rule.name for job in jobs}:
        names |= {generator for task in CONFIG.tasks.values() for generator in task.generators}
    return names


def show_summary(failed=False):
    """The table of verdicts, whether or not all went well; nothing after what has its own."""
    if {"estimate", "pilot", "prefetch", "status"} & {job.rule.name for job in workflow.dag.jobs}:
        return
    subprocess.run(
        [sys.executable, f"{SCRIPTS}/report.py", "--results", CONFIG.results, "--state", CONFIG.state]
        + ["--config", results("settings/config.json"), "--output", results("report/index.html"), "--table"],
        check=False,
    )
    status = [sys.executable, f"{SCRIPTS}/status.py", "--config", results("settings/config.json")]
    subprocess.run([*status, "--usage"], check=False)
    if not failed:
        return
    note_failed(workflow.scheduler.failed)
    if SIGNALS:
        print("interrupted: the same command continues.")
    else:
        print(f"Some jobs failed; their logs are under {results('logs')}. `snakemake report` renders what exists.")


def note_failed(jobs):
    """Remember steps that have failed in their last attempt, for the status."""
    noted = read_json(FAILED)["failed"] if FAILED.is_file() else []
    for job in jobs:
        log = str((list(job.log) or [""])[0])
        step = {"rule": job.rule.name, "outputs": [str(file) for file in job.output], "log": log}
        step |= {"reason": REFUSED[job]} if job in REFUSED else {}
        noted += [step] if step not in noted else []
    write_json(FAILED, {"failed": noted})
