"""What happens before the first job and after the last."""

import signal

# The resolved config, for reading.
SETTINGS = RESULTS.note("config.json")
# The steps that failed in the last start.
FAILED = RESULTS.note("failed.json")
# Targets that make nothing that a main process could be making: its lock and its failures are left alone.
LOOKING = {"status", "estimate", "report", "prefetch"}
# Rules that read weights.
WITH_MODELS = {"finetune", "respond", "respond_untuned", "deploy_model"}
NOTHING_STARTED = "nothing was started"
# The signals that ended this start of the workflow.
SIGNALS = []


# What `prefetch` has fetched. With all that the config needs in the cache, no job asks the Hub for anything.
if STATE.prefetched.is_file():
    prefetched = read_json(STATE.prefetched)
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
        write_json(RESULTS.note("status.json"), CONFIG.model_dump(mode="json"))
        return
    try:
        if not rules_to_run <= LOOKING:
            FAILED.unlink(missing_ok=True)
        write_json(SETTINGS, CONFIG.model_dump(mode="json"))
        if not rules_to_run <= LOOKING:
            STEPS.write()
        record_start(RESULTS.note("starts.jsonl"), CONFIG_NAME)
    except OSError as error:
        sys.exit(f"error: {config_key('results')}: {error.strerror}, {NOTHING_STARTED}")
    leads_on = "decide" in rules_to_run and "sweep" not in rules_to_run
    computes = leads_on or bool(rules_to_run & WITH_MODELS)
    if computes and not WITH_CONDA and "vllm" in engines(CONFIG) and importlib.util.find_spec("vllm") is None:
        sys.exit(
            f"{config_key('inference', 'engine')}: vllm is not installed here: run with --sdm conda, {NOTHING_STARTED}"
        )
    asked = services_to_ask(CONFIG, [(job.rule.name, job.wildcards_dict) for job in jobs], leads_on)
    check = [sys.executable, f"{SCRIPTS}/preflight.py", "--config", str(SETTINGS)]
    check += ["--services", canonical(sorted(asked))]
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


def show_summary(failed=False):
    """The table of verdicts, whether or not all went well; nothing after what has its own."""
    if {"estimate", "pilot", "prefetch", "status"} & {job.rule.name for job in workflow.dag.jobs}:
        return
    subprocess.run(
        [sys.executable, f"{SCRIPTS}/report.py", "--results", CONFIG.results, "--state", CONFIG.state]
        + ["--config", str(SETTINGS), "--output", str(RESULTS.report()), "--table"],
        check=False,
    )
    status = [sys.executable, f"{SCRIPTS}/status.py", "--config", str(SETTINGS)]
    subprocess.run([*status, "--usage"], check=False)
    if not failed:
        return
    jobs = workflow.scheduler.failed
    note_failed(jobs)
    if SIGNALS:
        print("interrupted: the same command continues.")
        return
    # Of a job on a cluster they are shown as soon as it fails.
    beside = [Path(log) for job in jobs if workflow.local_exec or job.is_local for log in job.log]
    print("\n".join(ends_of_logs(beside)), file=sys.stderr)
    print(f"Some jobs failed; their logs are under {RESULTS.logs}. `snakemake report` renders what exists.")


def note_failed(jobs):
    """Remember steps that have failed in their last attempt, for the status."""
    noted = read_json(FAILED)["failed"] if FAILED.is_file() else []
    for job in jobs:
        log = str((list(job.log) or [""])[0])
        step = {"rule": job.rule.name, "outputs": [str(file) for file in job.output], "log": log}
        step |= {"reason": REFUSED[job]} if job in REFUSED else {}
        noted += [step] if step not in noted else []
    write_json(FAILED, {"failed": noted})
