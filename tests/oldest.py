"""Plan the demo, here and with the SLURM profile, with the oldest Snakemake and SLURM plugin that are allowed.

    python tests/oldest.py

They are installed into a temporary environment over this one; the newest that are allowed are those of this one.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from snakemake_executor_plugin_llamaduo.versions import OLDEST

REPOSITORY = Path(__file__).parents[1]
PROFILES = ("profiles/demo", "profiles/slurm")
PLANNED = "GPU hours:"
"""Stands below every plan."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin/python"
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        # What is installed there comes before what is here.
        here = [path for path in sys.path if path.endswith("site-packages")]
        (packages / "here.pth").write_text("\n".join([*here, str(REPOSITORY / "scripts"), ""]))
        pinned = [f"{package}=={oldest}" for package, oldest in OLDEST.items()]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *pinned], check=True)
        (site := Path(folder) / "site.yaml").touch()
        for profile in PROFILES:
            options = ["--profile", profile, "--configfile", "config/demo.yaml", "--dry-run", "--quiet", "all"]
            done = subprocess.run(
                [python, "-m", "snakemake", *options],
                cwd=REPOSITORY,
                env=os.environ | {"LLAMADUO_SITE": str(site)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode or PLANNED not in done.stdout:
                sys.exit(f"error: {profile}: not planned with {', '.join(pinned)}:\n{done.stdout}{done.stderr}")
            print(f"{profile}: planned with {', '.join(pinned)}")


if __name__ == "__main__":
    main()
