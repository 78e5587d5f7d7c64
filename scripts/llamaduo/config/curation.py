"""Curation: which generated pairs enter the pool."""

from typing import Literal

from pydantic import Field, field_validator

from llamaduo.config.base import Percent, Section

FilterName = Literal["rules", "exact", "minhash", "novelty", "decontamination"]
Script = Literal[
    "ARABIC", "ARMENIAN", "BENGALI", "CJK", "CYRILLIC", "DEVANAGARI", "ETHIOPIC", "GEORGIAN", "GREEK", "GUJARATI",
    "GURMUKHI", "HANGUL", "HEBREW", "HIRAGANA", "KANNADA", "KATAKANA", "KHMER", "LAO", "LATIN", "MALAYALAM",
    "MYANMAR", "ORIYA", "SINHALA", "TAMIL", "TELUGU", "THAI", "TIBETAN",
]  # fmt: skip

FILTERS: tuple[FilterName, ...] = ("rules", "exact", "minhash", "novelty", "decontamination")

REFUSALS = (
    "as an ai language model",
    "as a language model",
    "as a large language model",
    "as an ai assistant",
    "as an ai model",
    "as an ai, i",
    "i'm just an ai",
    "sorry, but i can",
    "sorry, i can't",
    "sorry, i cannot",
    "sorry, but as an ai",
    "i can't assist",
    "i cannot assist",
    "i can't help with",
    "i cannot help with",
    "i can't fulfill",
    "i cannot fulfill",
    "i can't comply",
    "i cannot comply",
    "i can't provide",
    "i cannot provide",
    "i'm unable to assist",
    "i am unable to assist",
    "i'm unable to help",
    "i am unable to help",
    "i'm unable to provide",
    "i am unable to provide",
    "i'm unable to fulfill",
    "i am unable to fulfill",
    "i'm not able to assist",
    "i am not able to assist",
    "i'm not able to help",
    "i am not able to help",
    "i'm not able to provide",
    "i am not able to provide",
)
IMAGES_AND_FILES = (
    "attached image",
    "attached picture",
    "attached photo",
    "attached file",
    "attached document",
    "attached pdf",
    "attached video",
    "attached audio",
    "attached spreadsheet",
    "uploaded image",
    "uploaded file",
    "uploaded document",
    "following image",
    "following picture",
    "image below",
    "image above",
    "picture below",
    "picture above",
    "photo below",
    "chart below",
    "graph below",
    "diagram below",
    "given image",
    "provided image",
    "shown in the image",
    "shown in the picture",
    "see the image",
    "look at the image",
    "look at the picture",
    "describe the image",
    "describe this image",
    "in the attachment",
    "see attachment",
)


class RulesSettings(Section):
    """Rules that a single row passes or fails by itself. A word is a Unicode word (Han, kana, Thai: a character)."""

    minimum_instruction_words: int = Field(3, ge=1)
    """Rejected as `too_short`: an instruction of fewer words."""
    maximum_instruction_words: int = Field(2000, ge=1)
    """Rejected as `too_long`: an instruction of more words."""
    minimum_response_words: int = Field(1, ge=0)
    """Rejected as `too_short`: a response of fewer words; 1 lets labels through, 0 also a lone `?`. Never a blank."""
    maximum_response_words: int = Field(2000, ge=1)
    """Rejected as `too_long`: a response of more words."""
    letters: bool = True
    """Reject as `no_letters` an instruction without letters and a response without letters and digits."""
    refusal_phrases: tuple[str, ...] = REFUSALS
    """Rejected as `refusal`: a response that begins with one of these phrases or has it near its beginning."""
    refusal_within: int = Field(100, ge=1)
    """Characters from the response's beginning in which refusal phrases are looked for."""
    truncated: bool = True
    """Reject as `truncated` what the service stopped writing because of its token limit (stop reason `length`)."""
    response_equals_instruction: bool = True
    """Reject as `response_equals_instruction` a response that only repeats the instruction."""
    image_and_file_phrases: tuple[str, ...] = IMAGES_AND_FILES
    """Rejected as `mentions_image_or_file`: an instruction with one of these phrases."""
    balanced_code_fences: bool = True
    """Reject as `unbalanced_code_fence` an instruction or response with a code fence that is never closed."""
    blocklist: tuple[str, ...] = ()
    """Rejected as `blocklist`: an instruction or response with one of these words or phrases (case does not count)."""
    scripts: tuple[Script, ...] = ()
    """Scripts that rows are to be written in; empty: any. Rejected as `wrong_script`: a row with too few such letters.
    Japanese is CJK, HIRAGANA and KATAKANA."""
    minimum_script_share: Percent = Field(50, ge=0, le=100)
    """Percentage of a text's letters, in instruction and response each, that `scripts` must have."""

    @field_validator("refusal_phrases", "image_and_file_phrases", "blocklist")
    @classmethod
    def _phrases_say_something(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        for number, phrase in enumerate(phrases):
            if not phrase.strip():
                raise ValueError(f"phrase {number} is blank: it would reject every row; remove it")
        return phrases


class MinHashSettings(Section):
    """Near duplicates by word shingles of instruction and response; LSH finds candidates, true Jaccard decides."""

    threshold: float = Field(0.8, ge=0.1, le=0.95)
    """Jaccard similarity of the sets of shingles from which a row is a near duplicate."""
    permutations: int = Field(128, ge=16, le=1024)
    """Hash permutations of a sketch; more find more candidates and take longer."""
    shingle_words: int = Field(3, ge=1, le=20)
    """Consecutive words that make one shingle."""


class DecontaminationSettings(Section):
    """What counts as a copy of the test split, in the instruction or in the response."""

    ngram: int = Field(8, ge=2, le=50)
    """Words of an n-gram. Texts of fewer words prove nothing, except an instruction that equals a test instruction
    or is too near to it by ROUGE-L."""
    overlap: Percent = Field(50, gt=0, le=100)
    """Percentage of a text's words covered by n-grams of one test row from which the row is rejected."""
    rouge_threshold: float = Field(0.7, ge=0, le=1)
    """ROUGE-L F, to a test instruction or response of the same kind, above which a row is rejected."""


class CurationSettings(Section):
    """Which generated pairs enter the pool; every rejection is kept with its reason, the matched row and the score."""

    filters: tuple[FilterName, ...] = FILTERS
    """The filters to use; they are always applied in the order rules, exact, minhash, novelty, decontamination."""
    rules: RulesSettings = RulesSettings()
    """Rules that a single row passes or fails by itself."""
    minhash: MinHashSettings = MinHashSettings()
    """Near duplicates by MinHash LSH."""
    rouge_threshold: float = Field(0.7, ge=0, le=1)
    """ROUGE-L F of the instruction, to one of the train split or the pool, above which a row is not novel."""
    stemmer: bool = False
    """Compare Porter stems instead of words in ROUGE-L, as rouge-score's `use_stemmer` does."""
    other_scripts: Percent = Field(50, ge=0, le=100)
    """ROUGE's words know a to z and 0 to 9 only. An instruction is compared by its Unicode words instead when it has
    no such words, or when less than this percentage of its letters and digits are such; 0: only in the first case."""
    decontamination: DecontaminationSettings = DecontaminationSettings()
    """What counts as a copy of the test split."""
