"""What happens before the first job and after the last."""


def prepare_start():
    """Write the settings that travel beside the params, then refuse wrong input before anything is paid for."""
    write_json(Path(results("settings/config.json")), CONFIG.model_dump(mode="json"))
    needed = {rule.name for rule in (job.rule for job in workflow.dag.needrun_jobs())}
    keys = "true" if needed - WITHOUT_SERVICE else "false"
    check = [PYTHON, f"{SCRIPTS}/preflight.py", "--config", results("settings/config.json"), "--need-keys", keys]
    if subprocess.run(check, check=False).returncode:
        raise WorkflowError(f"{CONFIG_NAME}: nothing was started, see the message above.")


# Rules after which no call of a service can follow.
WITHOUT_SERVICE = {"coverage", "read_coverage", "report", "write_report", "write_sweep_report", "deploy_model", "all"}


def show_summary(failed=False):
    """The table of verdicts, whether or not all went well."""
    subprocess.run(
        [PYTHON, f"{SCRIPTS}/report.py", "--results", CONFIG.results, "--state", CONFIG.state]
        + ["--config", results("settings/config.json"), "--output", results("report/index.html"), "--table"],
        check=False,
    )
    if failed:
        print(f"Some jobs failed; their logs are under {results('logs')}. `snakemake report` renders what exists.")
