"""Make the lists of pinned packages, with hashes, from what requirements*.in ask for; or check that they belong to it.

python requirements.py --check: what `make setup` does first; it needs nothing but Python.
python requirements.py: `make lock`; it needs uv, and asks the package index for the newest that works together.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = {
    "requirements.txt": "requirements.in",
    "requirements-cuda.txt": "requirements.in",
    "requirements-dev.txt": "requirements-dev.in",
    "requirements-gpu.txt": "requirements-gpu.in",
}
"""What each list is made from."""
OLDEST, NEWEST = "3.11", "3.13"
"""The Pythons that one list has to serve."""
ONLY_CUDA = re.compile(r"(nvidia|cuda)-|triton$")
"""What PyTorch's build for CUDA, the one in the package index, needs on top of its build for processors."""
SEAL = "# sha256 of {} and of the lines below: "


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        sys.exit(next(filter(None, map(fault, SOURCES)), 0))
    packages = resolved("requirements.in")
    cuda = {name: pin for name, pin in packages.items() if ONLY_CUDA.match(name)}
    base = {name: pin for name, pin in packages.items() if name not in cuda}
    write("requirements.txt", base)
    write("requirements-cuda.txt", cuda)
    for kind in ("dev", "gpu"):
        more = resolved(f"requirements-{kind}.in", "requirements.txt", "requirements-cuda.txt")
        write(f"requirements-{kind}.txt", {name: pin for name, pin in more.items() if name not in packages})
    write_conda({name: pin.split()[0] for name, pin in base.items()})


def write_conda(pins: dict[str, str]) -> None:
    """Give the environments of conda the pins of requirements.txt."""
    whole, vllm = HERE / "environment.yaml", HERE / "rules/envs/vllm.yaml"
    head, section, _ = whole.read_text(encoding="utf-8").partition("  - pip:\n")
    whole.write_text(head + section + "".join(f"      - {pin}\n" for pin in pins.values()), encoding="utf-8")
    pinned = re.compile(r"(?<=- )([a-z0-9-]+)==.*")
    text = pinned.sub(lambda found: pins.get(found[1], found[0]), vllm.read_text(encoding="utf-8"))
    vllm.write_text(text, encoding="utf-8")


def resolved(asked: str, *constraints: str) -> dict[str, str]:
    """The pin and hashes of every package that is needed, by name; the same for the oldest and the newest Python."""
    of_oldest = compiled(OLDEST, asked, *constraints)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.write("".join(of_oldest.values()))
        pins.flush()
        of_newest = compiled(NEWEST, asked, *constraints, pins.name)
    if differing := sorted(of_oldest.keys() ^ of_newest.keys()):
        sys.exit(f"{asked}: Python {OLDEST} and {NEWEST} need other packages: {', '.join(differing)}")
    return of_oldest


def compiled(python: str, asked: str, *constraints: str) -> dict[str, str]:
    options = ["--generate-hashes", "--quiet", "--no-config", "--no-header", "--no-annotate"]
    options += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    for file in constraints:
        options += ["--constraints", file]
    command = ["uv", "pip", "compile", *options, asked]
    text = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603
    pins = re.findall(r"^\S.*(?:\n +.*)*\n", text, re.MULTILINE)
    return {re.split(r"\[|==", pin)[0]: pin for pin in pins}


def write(name: str, pins: dict[str, str]) -> None:
    body = "".join(pins.values())
    if SOURCES[name] == "requirements-dev.in":
        body = "-r requirements.txt\n" + body
    title = f"# Made by `make lock` from {SOURCES[name]}, for Python {OLDEST} to {NEWEST}.\n"
    (HERE / name).write_text(title + seal(name, body) + body, encoding="utf-8")


def seal(name: str, body: str) -> str:
    """The line of a list that no longer fits once what was asked for or the list itself is changed."""
    lines = (HERE / SOURCES[name]).read_text(encoding="utf-8").splitlines()
    asked = "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
    return SEAL.format(SOURCES[name]) + hashlib.sha256((asked + body).encode()).hexdigest() + "\n"


def fault(name: str) -> str | None:
    """What is wrong with a list: it was not made from what is asked for now."""
    _, _, sealed = (HERE / name).read_text(encoding="utf-8").partition("\n")
    body = sealed.partition("\n")[2]
    if sealed == seal(name, body) + body:
        return None
    return f"{name} does not belong to {SOURCES[name]}: one of them was changed; make it again with `make lock`"


if __name__ == "__main__":
    main()
