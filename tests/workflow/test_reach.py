"""Where the steps that call services run: as jobs, or where a profile says so on the node of Snakemake itself."""

import json
import subprocess
import sys

from workspace import REPOSITORY, clean_environment

ASKING = {"synthesize", "judge", "respond_service"}
LOCAL_RULES = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings
resources = ResourceSettings(cores=1, resources=json.loads(sys.argv[1]))
config = ConfigSettings(configfiles=[Path("config/demo.yaml")])
with SnakemakeApi(OutputSettings()) as api:
    workflow = api.workflow(resource_settings=resources, config_settings=config, snakefile=Path("Snakefile"))._workflow
    print(json.dumps([rule.name for rule in workflow.rules if rule.name in workflow._localrules]))
"""


def local_rules(resources: dict[str, int]) -> set[str]:
    command = [sys.executable, "-c", LOCAL_RULES, json.dumps(resources)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_steps_that_call_services_are_jobs_unless_a_profile_keeps_them_on_the_login_node() -> None:
    by_default, on_login_node = local_rules({}), local_rules({"services_on_login_node": 1})

    assert not by_default & ASKING
    assert on_login_node & ASKING == ASKING
    assert "finetune" not in on_login_node
    assert {"estimate", "pilot"} <= by_default, "whoever asks for them waits for what they say"
    assert local_rules({"services_on_login_node": 0}) == by_default
