"""Curation at full size: the novelty filter against a loop over an exact LCS library, and the time and memory it takes.

Prints one JSON line. Each measurement runs in a process of its own, so that its peak memory is its own; compiling is
done before (once per checkout, `seconds_compiling`), reading the files is counted.

- `speedup_vs_rapidfuzz_5k`: 5,000 rows, the novelty filter with tokenising, against a plain loop over
  rapidfuzz.distance.LCSseq on rows tokenised before, which stops at the first kept row above the threshold.
  `speedup_vs_rapidfuzz_cutoff_5k`: the same loop given each pair's least LCS as its score cutoff, and a character per
  token. The decisions of all are compared first.
- `seconds_real_40k`: 40,000 real instructions, novelty alone, and `seconds_300k` and so on generated short ones (see
  generated_instructions.py). `whole_seconds_300k`: all filters, with a train and a test split.
- `minhash_recall`: of the rows that the exact filter drops among the real ones, the share that the MinHash filter finds
  at its default settings; `minhash_recall_090` at the threshold of 0.9 that is often used.
Real rows are looked for beside the repository (../shared/data); without them generated ones take their place, and
`real` says so.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "instructions.parquet"
THRESHOLD = 0.7
SLACK = 1e-9
PARTS = ("5k", "real", "short", "whole", "recall")
KNOWN_ROWS = 400
"""Rows of the train split, and half as many of the test split, of the whole curation."""


def curated(path, filters, threads, train=None, test=None, **settings):
    from llamaduo.config.curation import CurationSettings
    from llamaduo.curation.curate_files import curate_files

    chosen = CurationSettings.model_validate({"rouge_threshold": THRESHOLD} | settings)
    return curate_files([path], train, test, None, chosen, filters, threads=threads)


def measure(path, filters, threads, **known):
    """Seconds, and the peak memory of this process in MB."""
    started = time.perf_counter()
    decisions = curated(path, filters, threads, **known).decisions
    seconds = time.perf_counter() - started
    return {"seconds": round(seconds, 2), "peak_rss_mb": peak_rss_mb(), "kept": len(decisions.kept)}


def peak_rss_mb():
    """Of this process since it began its program; getrusage would count the process that started it as well."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return round(int(status["VmHWM"].split()[0]) / 1024)


def plain_loop(rows, similarity):
    """The rows kept by comparing each with every kept one: `similarity(first, second, least LCS)`."""
    kept: list[int] = []
    for place, own in enumerate(rows):
        for other in (rows[at] for at in kept):
            common = similarity(own, other, int((THRESHOLD - SLACK) / 2 * (len(own) + len(other))))
            if common:
                precision, recall = common / len(own), common / len(other)
                if 2 * precision * recall / (precision + recall) > THRESHOLD:
                    break
        else:
            kept.append(place)
    return kept


def rapidfuzz_loops(path):
    """The plain loop as it stands, and with its cutoff."""
    import pyarrow.parquet as pq
    from rapidfuzz.distance import LCSseq

    from llamaduo.curation.index.rouge_tokens import RougeTokens

    texts = RougeTokens(False, 50)(pq.read_table(path).column("instruction").to_pylist())
    rows = [texts[row].tolist() for row in range(len(texts))]
    characters = ["".join(chr(0x10000 + number) for number in row) for row in rows]
    seconds, kept = [], []
    for given, similarity in (
        (rows, lambda first, second, _: LCSseq.similarity(first, second)),
        (characters, lambda first, second, least: LCSseq.similarity(first, second, score_cutoff=least)),
    ):
        started = time.perf_counter()
        kept.append(plain_loop(given, similarity))
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "kept": kept}


def ours_repeated(path, threads):
    """The shortest of three runs."""
    seconds, kept = [], []
    for _ in range(3):
        started = time.perf_counter()
        kept.append(curated(path, ["novelty"], threads).decisions.kept)
        seconds.append(time.perf_counter() - started)
    return {"seconds": [min(seconds)], "kept": kept}


def against_rapidfuzz(path, threads):
    loops, ours = apart("rapidfuzz", path, threads), apart("repeated", path, threads)
    if any(each != ours["kept"][0] for each in loops["kept"] + ours["kept"]):
        sys.exit("the decisions differ from those of the plain loop")
    (plain, with_cutoff), (own,) = loops["seconds"], ours["seconds"]
    return {
        "speedup_vs_rapidfuzz_5k": round(plain / own, 1),
        "speedup_vs_rapidfuzz_cutoff_5k": round(with_cutoff / own, 1),
        "seconds_rapidfuzz_5k": round(plain, 1),
        "seconds_rapidfuzz_cutoff_5k": round(with_cutoff, 1),
        "seconds_5k": round(own, 2),
        "kept_5k": len(ours["kept"][0]),
    }


def recall(path, threads):
    dropped = set(curated(path, ["novelty"], threads).decisions.rejected)
    found = [
        set(curated(path, ["minhash"], threads, minhash={"threshold": threshold}).decisions.rejected)
        for threshold in (0.8, 0.9)
    ]
    shares = [round(len(dropped & each) / len(dropped), 4) if dropped else 0.0 for each in found]
    return {"minhash_recall": shares[0], "minhash_recall_090": shares[1], "dropped_by_novelty": len(dropped)}


def compile_all(path, threads):
    started = time.perf_counter()
    curated(path, ["minhash", "novelty"], threads)
    return {"seconds_compiling": round(time.perf_counter() - started, 1)}


def write(path, rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def apart(part, path, threads, *more):
    """What this program says of one measurement in a process of its own."""
    command = [sys.executable, __file__, "--one", part, "--path", str(path), "--threads", str(threads), *map(str, more)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--parts", default=",".join(PARTS), help="which measurements, separated by commas")
    options.add_argument("--quick", action="store_true", help="a twentieth of all rows: only shows that it runs")
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--one", help=argparse.SUPPRESS)
    options.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--test", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        from llamaduo.config.curation import FILTERS

        one = {
            "compile": lambda: compile_all(given.path, given.threads),
            "rapidfuzz": lambda: rapidfuzz_loops(given.path),
            "repeated": lambda: ours_repeated(given.path, given.threads),
            "novelty": lambda: measure(given.path, ["novelty"], given.threads),
            "whole": lambda: measure(given.path, FILTERS, given.threads, train=given.train, test=given.test),
            "recall": lambda: recall(given.path, given.threads),
        }
        print(json.dumps(one[given.one]()))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measurements(Path(folder), given.parts.split(","), 20 if given.quick else 1, given.threads)))


def measurements(folder, parts, divisor, threads):
    import pyarrow.parquet as pq
    from generated_instructions import pairs

    short = pairs(300_000 // divisor + KNOWN_ROWS * 3 // 2)
    train, test = (write(folder / f"{name}.parquet", rows) for name, rows in (
        ("train", short[:KNOWN_ROWS]), ("test", short[KNOWN_ROWS : KNOWN_ROWS * 3 // 2])
    ))  # fmt: skip
    short = short[KNOWN_ROWS * 3 // 2 :]
    real = pq.read_table(REAL).to_pylist() if REAL.is_file() else short[:40_000]
    files = {
        "5k": write(folder / "5k.parquet", real[: 5_000 // divisor]),
        "real": write(folder / "real.parquet", real[: 40_000 // divisor]),
        **{
            f"{size}k": write(folder / f"{size}k.parquet", short[: 1000 * size // divisor])
            for size in ((75, 150, 300) if {"short", "whole"} & set(parts) else ())
        },
    }
    figures = {"benchmark": "curation", "threads": threads, "real": REAL.is_file(), "quick": divisor > 1}
    figures |= apart("compile", write(folder / "compile.parquet", short[:3500]), threads)
    if "5k" in parts:
        figures |= against_rapidfuzz(files["5k"], threads)
    if "real" in parts:
        found = apart("novelty", files["real"], threads)
        figures |= {f"{key}_real_40k": value for key, value in found.items()}
    if "short" in parts:
        for size in ("75k", "150k", "300k"):
            figures |= {f"{key}_{size}": value for key, value in apart("novelty", files[size], threads).items()}
        figures["growth_75k_to_150k"] = round(figures["seconds_150k"] / figures["seconds_75k"], 2)
        figures["growth_150k_to_300k"] = round(figures["seconds_300k"] / figures["seconds_150k"], 2)
    if "whole" in parts:
        found = apart("whole", files["300k"], threads, "--train", train, "--test", test)
        figures |= {f"whole_{key}_300k": value for key, value in found.items()}
    if "recall" in parts:
        figures |= apart("recall", files["real"], threads)
    return figures


if __name__ == "__main__":
    main()
