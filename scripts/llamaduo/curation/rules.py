"""Rules that a row passes or fails by itself, after Self-Instruct (arXiv 2212.10560) and Alpaca."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from llamaduo.config.curation import RulesSettings
from llamaduo.curation.pairs import FilterOfRows, Pair, Rejection
from llamaduo.curation.text import normalise

Rule = Callable[[Pair, RulesSettings], bool]

CUT_OFF = ("length", "max_tokens")
"""How the vendors' APIs say that a response ran into its token limit."""

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)


def too_short(pair: Pair, settings: RulesSettings) -> bool:
    return (
        len(pair.instruction_words) < settings.minimum_instruction_words
        or len(pair.response_words) < settings.minimum_response_words
        or not pair.normalised_response
    )


def too_long(pair: Pair, settings: RulesSettings) -> bool:
    return (
        len(pair.instruction_words) > settings.maximum_instruction_words
        or len(pair.response_words) > settings.maximum_response_words
    )


def no_letters(pair: Pair, settings: RulesSettings) -> bool:
    """A response of digits alone can be right; an instruction of digits alone asks for nothing."""
    return settings.letters and not (
        any(character.isalpha() for character in pair.instruction)
        and any(character.isalnum() for character in pair.response)
    )


def refusal(pair: Pair, settings: RulesSettings) -> bool:
    beginning = _plain_quotes(pair.normalised_response[: settings.refusal_within])
    return any(phrase in beginning for phrase in _normalised(settings.refusal_phrases))


def truncated(pair: Pair, settings: RulesSettings) -> bool:
    return settings.truncated and (pair.stop_reason or "").lower() in CUT_OFF


def response_equals_instruction(pair: Pair, settings: RulesSettings) -> bool:
    return settings.response_equals_instruction and pair.normalised_response == pair.normalised_instruction


def mentions_image_or_file(pair: Pair, settings: RulesSettings) -> bool:
    return _has_phrase(pair.normalised_instruction, settings.image_and_file_phrases)


def unbalanced_code_fence(pair: Pair, settings: RulesSettings) -> bool:
    return settings.balanced_code_fences and (_leaves_fence_open(pair.instruction) or _leaves_fence_open(pair.response))


def blocklist(pair: Pair, settings: RulesSettings) -> bool:
    return _has_phrase(pair.normalised_instruction, settings.blocklist) or _has_phrase(
        pair.normalised_response, settings.blocklist
    )


def wrong_script(pair: Pair, settings: RulesSettings) -> bool:
    return bool(settings.scripts) and not all(
        _script_share(text, settings.scripts) >= settings.minimum_script_share / 100
        for text in (pair.instruction, pair.response)
    )


# The order decides which reason is given to a row that breaks several rules: the plainest first.
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        no_letters,
        too_short,
        too_long,
        truncated,
        refusal,
        response_equals_instruction,
        mentions_image_or_file,
        unbalanced_code_fence,
        blocklist,
        wrong_script,
    )
}


class RuleFilter(FilterOfRows):
    """The filter `rules`: the name of the first rule that a pair breaks is the reason of its rejection."""

    def __init__(self, settings: RulesSettings) -> None:
        super().__init__()
        self.settings = settings

    def look_at(self, pairs: Sequence[Pair], open_rows: Sequence[int]) -> list[int]:
        rejections = {row: rejection_by_rule(pairs[row], self.settings) for row in open_rows}
        self._rejections = {row: rejection for row, rejection in rejections.items() if rejection is not None}
        return list(self._rejections)


def rejection_by_rule(pair: Pair, settings: RulesSettings) -> Rejection | None:
    """The rejection by the first rule that a pair breaks."""
    return next((Rejection(name) for name, broken in RULES.items() if broken(pair, settings)), None)


def _plain_quotes(text: str) -> str:
    return text if text.isascii() else text.replace("\u2019", "'").replace("\u02bc", "'")


@lru_cache(maxsize=8)
def _normalised(phrases: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_plain_quotes(normalise(phrase)) for phrase in phrases)


@lru_cache(maxsize=8)
def _phrase_pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the phrases as whole words; a plural counts as its singular."""
    alternatives = "|".join(re.escape(phrase) for phrase in _normalised(phrases))
    return re.compile(rf"(?<!\w)(?:{alternatives})s?(?!\w)")


def _has_phrase(normalised: str, phrases: tuple[str, ...]) -> bool:
    text = _plain_quotes(normalised)
    # Few texts hold a phrase at all, and finding that out without the pattern is much faster.
    return any(phrase in text for phrase in _normalised(phrases)) and bool(_phrase_pattern(phrases).search(text))


def _leaves_fence_open(text: str) -> bool:
    """Whether a code fence (CommonMark section 4.5) is opened and never closed; indentation does not count."""
    if "```" not in text and "~~~" not in text:
        return False
    opened = ""
    for fence, rest in _FENCE.findall(text):
        if not opened:
            # "```code```" on one line is code within a line.
            opened = "" if fence[0] == "`" and "`" in rest else fence
        elif fence[0] == opened[0] and len(fence) >= len(opened) and not rest.strip():
            opened = ""
    return bool(opened)


def _script_share(text: str, scripts: Sequence[str]) -> float:
    """The share of letters whose Unicode names begin with one of the scripts; 1 for a text without letters."""
    letters = [character for character in text if character.isalpha()]
    return sum(_script(letter) in scripts for letter in letters) / len(letters) if letters else 1.0


@lru_cache(maxsize=65536)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]
