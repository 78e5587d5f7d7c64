"""The lists of pinned packages belong to what is asked for, and to each other; a changed one is refused."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LISTS = sorted(path.name for path in ROOT.glob("requirements*.txt"))
PIN = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,]+\])?==(?P<version>\S+)")


def pins(lines: Iterable[str]) -> dict[str, str]:
    """Versions by package; a line that is no pin, hash, comment or reference to another list is a mistake."""
    found = {}
    for line in lines:
        if line and not line.startswith(("#", "-c ", "-r ", "    --hash=sha256:")):
            pin = PIN.fullmatch(line.removesuffix(" \\"))
            assert pin, f"not a pin: {line}"
            found[re.sub(r"[-_.]+", "-", pin["name"]).lower()] = pin["version"]
    return found


def pins_in(file: str) -> dict[str, str]:
    return pins((ROOT / file).read_text(encoding="utf-8").splitlines())


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "requirements.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for file in ROOT.glob("requirements*"):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_the_lists_belong_to_what_is_asked_for() -> None:
    assert check(ROOT).returncode == 0, check(ROOT).stderr


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ("requirements.in", "requirements.txt does not belong to requirements.in"),
        ("requirements-dev.in", "requirements-dev.txt does not belong to requirements-dev.in"),
        ("requirements-gpu.in", "requirements-gpu.txt does not belong to requirements-gpu.in"),
        ("requirements.txt", "requirements.txt does not belong to requirements.in"),
        ("requirements-cuda.txt", "requirements-cuda.txt does not belong to requirements.in"),
    ],
)
def test_a_changed_file_is_refused_in_one_line_with_what_to_do(copied: Path, changed: str, refused: str) -> None:
    file = copied / changed
    file.write_text(file.read_text(encoding="utf-8") + "another==1.0\n", encoding="utf-8")

    checked = check(copied)

    assert checked.returncode == 1
    assert checked.stderr == f"{refused}: one of them was changed; make it again with `make lock`\n"


def test_comments_may_change(copied: Path) -> None:
    asked = copied / "requirements.in"
    asked.write_text("# Another word.\n" + asked.read_text(encoding="utf-8"), encoding="utf-8")

    assert check(copied).returncode == 0


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_has_hashes_and_no_list_names_a_place(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    assert not re.search(r"://|^--", text, re.MULTILINE)
    assert all("==" in pin and "--hash=sha256:" in pin for pin in re.findall(r"^\w.*(?:\n    .*)*", text, re.MULTILINE))


@pytest.mark.parametrize("kind", ["requirements", "requirements-dev", "requirements-gpu"])
def test_the_lists_hold_the_direct_requirements(kind: str) -> None:
    assert pins_in(f"{kind}.in").items() <= pins_in(f"{kind}.txt").items()


def test_no_package_is_in_two_lists_but_torch() -> None:
    """PyTorch's build for processors has a list of its own: the same version, marked as that build."""
    places = [(package, name) for name in LISTS for package in pins_in(name)]

    twice = {package for package, _ in places if [name for name, _ in places].count(package) > 1}
    assert twice == {"torch"}
    assert pins_in("requirements-cpu.txt")["torch"] == pins_in("requirements.txt")["torch"] + "+cpu"
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()


def test_the_conda_environments_have_the_same_pins() -> None:
    environment = yaml.safe_load((ROOT / "environment.yaml").read_text(encoding="utf-8"))
    python, pip, requirements = environment["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    assert pins(requirements["pip"]) == pins_in("requirements.txt")

    vllm = yaml.safe_load((ROOT / "rules/envs/vllm.yaml").read_text(encoding="utf-8"))
    beside = pins(pin for pin in vllm["dependencies"][-1]["pip"] if not pin.startswith("vllm=="))
    assert beside.items() <= pins_in("requirements.txt").items()
