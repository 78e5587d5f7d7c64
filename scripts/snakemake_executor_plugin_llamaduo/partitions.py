"""What a cluster's partitions can run, as sinfo tells, and what keeps a request from being run on them for ever.

SLURM takes a job that asks for more time or cores than its partition has, and leaves it pending; one that asks for more
memory or GPUs it refuses with words that say neither what is wrong nor what there is.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from llamaduo.cluster.queue import TIME, ask, seconds_of

FIELDS = ("%P", "%l", "%c", "%m", "%G", "%f")
PLAIN_NAME = re.compile(r"[\w.-]+")
"""A type of GPU or a feature, and no expression of several."""
IN_PARENTHESES = re.compile(r"\([^)]*\)")
"""After a GRES: the sockets it belongs to, or that there is none."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind in one partition: what a job on one of them can have.

    `minutes` is the partition's limit (infinite without one); `gpus` are the GPUs of a node by their type, which is
    empty where the site names none. No cores: sinfo does not show the partition's nodes, such as those that a cloud has
    switched off.
    """

    partition: str
    minutes: float
    cores: int
    megabytes: int
    gpus: Mapping[str, int]
    features: frozenset[str]


@dataclass(frozen=True)
class Request:
    """What a job asks for, on one node. Empty texts and zeros are not asked for.

    `partition` may be several, separated by commas; without one it may be any.
    """

    partition: str = ""
    minutes: float = 0
    cores: int = 0
    megabytes: float = 0
    gpus: int = 0
    gpu_model: str = ""
    feature: str = ""


@dataclass(frozen=True)
class Obstacle:
    """What keeps a request from being run: the part of it (a field of `Request`), and in words."""

    part: str
    words: str


def read_partitions(patience: float = 0) -> list[Nodes]:
    """The nodes of all partitions, whatever their state. As `ask` raises `ServiceError`, and waits out an outage."""
    command = ["sinfo", "--noheader", "--all", "--exact", "--noconvert", "--format", "\x1f".join(FIELDS)]
    return parse(ask(*command, patience=patience, unless_refused=True).splitlines())


def parse(lines: Iterable[str]) -> list[Nodes]:
    """Nodes from lines of sinfo in the format of `read_partitions`."""
    kinds = []
    for line in lines:
        fields = [field.strip() for field in line.split("\x1f")]
        if len(fields) == len(FIELDS):
            name, limit, cores, megabytes, gres, features = fields
            minutes = seconds_of(limit) / 60 if TIME.fullmatch(limit) else math.inf
            own = frozenset(() if features == "(null)" else features.split(","))
            most = _number(cores), _number(megabytes)
            kinds.append(Nodes(name.rstrip("*"), minutes, *most, gpus_of(gres), own))
    return kinds


def gpus_of(gres: str) -> dict[str, int]:
    """The GPUs that a node's GRES has, by type: `gpu:a100:4(S:0-1),gpu:2` has 4 of the type a100 and 2 of none."""
    found: dict[str, int] = {}
    for resource in IN_PARENTHESES.sub("", gres).split(","):
        name, *rest = resource.split(":")
        if name == "gpu":
            count = int(rest.pop()) if rest and rest[-1].isdigit() else 1
            kind = rest[0] if rest else ""
            found[kind] = found.get(kind, 0) + count
    return found


def obstacle(request: Request, cluster: Sequence[Nodes]) -> Obstacle | None:
    """What keeps a request from ever being run; None when some node would take it, or when that cannot be told."""
    names = {name for name in request.partition.split(",") if name}
    nodes = [one for one in cluster if not names or one.partition in names]
    if not nodes:
        there_are = _listed(one.partition for one in cluster)
        return Obstacle("partition", f"the partition {', '.join(sorted(names))}; there are: {there_are}")
    longest = max(one.minutes for one in nodes)
    if request.minutes > longest:
        return Obstacle("minutes", f"{request.minutes:,.0f} minutes; the most in {_in_words(nodes)} is {longest:,.0f}")
    nodes = [one for one in nodes if request.minutes <= one.minutes]
    if not all(one.cores for one in nodes):
        return None
    for part, (asked, fits, there_is) in _asked_of_a_node(request).items():
        fitting = [one for one in nodes if fits(one)]
        if not fitting:
            return Obstacle(part, f"{asked} on a node; in {_in_words(nodes)} there are {there_is(nodes)}")
        nodes = fitting
    return None


Aspect = tuple[str, Callable[[Nodes], bool], Callable[[Sequence[Nodes]], str]]
"""What is asked for, in words; whether a node has it; and in words what some nodes have of it."""


def _asked_of_a_node(request: Request) -> dict[str, Aspect]:
    """By the part of the request."""
    gpus = " ".join([str(request.gpus), request.gpu_model, "GPU" if request.gpus == 1 else "GPUs"]).replace("  ", " ")
    return {
        "gpus": (
            gpus,
            lambda node: _gpus_for(request, node) >= request.gpus,
            lambda nodes: _listed(f"{count} {kind}".strip() for one in nodes for kind, count in one.gpus.items()),
        ),
        "feature": (
            f"the feature {request.feature}",
            # What is more than a name is left to SLURM.
            lambda node: request.feature in node.features or not PLAIN_NAME.fullmatch(request.feature),
            lambda nodes: _listed(feature for one in nodes for feature in one.features),
        ),
        "cores": (
            f"{request.cores:,} cores",
            lambda node: node.cores >= request.cores,
            lambda nodes: f"{max(one.cores for one in nodes):,} at most",
        ),
        "megabytes": (
            f"{request.megabytes:,.0f} MB",
            lambda node: node.megabytes >= request.megabytes,
            lambda nodes: f"{max(one.megabytes for one in nodes):,} at most",
        ),
    }


def _gpus_for(request: Request, node: Nodes) -> int:
    """How many of a node's GPUs are of the type that is asked for."""
    wanted = request.gpu_model.casefold()
    return sum(count for kind, count in node.gpus.items() if not wanted or kind.casefold() == wanted)


def _number(text: str) -> int:
    """The number at the beginning of a text: `64+` stands for 64 and more."""
    found = re.match(r"\d+", text)
    return int(found.group()) if found else 0


def _in_words(nodes: Iterable[Nodes]) -> str:
    names = {one.partition for one in nodes}
    return f"the partition{'s' * (len(names) > 1)} {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "none"
