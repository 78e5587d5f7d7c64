"""Novelty filter against the plain loop over rouge-score that it has to agree with, on generated instructions.

Prints one JSON line: pairs of texts decided per second by each, and their ratio. The decisions are compared first.
"""

import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

ROWS, WORDS, VOCABULARY, THRESHOLD, SEED = 300, 30, 400, 0.7, 0


def instructions() -> list[str]:
    """Half of them new, half with a few words of an earlier one replaced."""
    chance = random.Random(SEED)
    vocabulary = [f"word{number}" for number in range(VOCABULARY)]
    texts: list[list[str]] = []
    for number in range(ROWS):
        words = chance.choices(vocabulary, k=WORDS)
        if number % 2:
            words = list(chance.choice(texts))
            for place in chance.sample(range(WORDS), chance.randint(2, 14)):
                words[place] = chance.choice(vocabulary)
        texts.append(words)
    return [" ".join(words) for words in texts]


def plain_loop(texts: list[str]) -> list[bool]:
    """Whether each text is novel, by comparing it with every earlier kept one."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    kept: list[str] = []
    novel = []
    for text in texts:
        novel.append(all(scorer.score(earlier, text)["rougeL"].fmeasure <= THRESHOLD for earlier in kept))
        if novel[-1]:
            kept.append(text)
    return novel


def our_filter(texts: list[str]) -> list[bool]:
    """The same by the novelty filter alone."""
    from llamaduo.config.curation import CurationSettings
    from llamaduo.curation.curate import curate

    rows = [{"instruction": text, "response": f"answer {number}"} for number, text in enumerate(texts)]
    curated = curate(rows, [], [], CurationSettings(rouge_threshold=THRESHOLD), ["novelty"])
    kept = set(curated.kept)
    return [number in kept for number in range(len(texts))]


def main() -> None:
    texts = instructions()
    our_filter(texts[:5])
    plain_loop(texts[:5])
    started = time.perf_counter()
    expected = plain_loop(texts)
    between = time.perf_counter()
    found = our_filter(texts)
    ended = time.perf_counter()
    if found != expected:
        sys.exit("the decisions differ from those of the plain loop")
    plain, ours = between - started, ended - between
    figures = {
        "benchmark": "novelty",
        "baseline": "plain loop over rouge-score",
        "rows": ROWS,
        "kept": sum(found),
        "rows_per_second_baseline": round(ROWS / plain, 1),
        "rows_per_second": round(ROWS / ours, 1),
        "ratio": round(plain / ours, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
