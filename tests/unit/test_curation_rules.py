"""Rules reject a row for what it is by itself, and name the rule."""

import pytest
from pydantic import ValidationError

from llamaduo.config.curation import CurationSettings, RulesSettings
from llamaduo.curation.pairs import Pair
from llamaduo.curation.rules import RULES, RuleFilter

GOOD = ("Name the capital of France, please.", "Paris")


def reason(instruction=GOOD[0], response=GOOD[1], stop_reason="stop", **settings):
    step = RuleFilter(RulesSettings(**settings))
    step.look_at([Pair("1", instruction, response, stop_reason)], [0])
    rejection = step.check(0)
    return rejection and rejection.reason


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        GOOD,
        ("Add two and two.", "4"),
        ("Как называется столица Франции?", "Париж"),
        ("フランスの首都はどこですか。", "パリ"),
        ("ما هي عاصمة فرنسا؟", "باريس"),
        ("Write a function that opens a file.", "```python\nopen(path)\n```"),
        ("Nest one fence in another.", "````\n```\ninner\n````"),
        ("Show code in a line.", "Use ```x = 1``` here."),
        ("Decline an invitation by mail.", "Dear Ann, I'm unable to attend, as I am away until Monday."),
        ("Describe how images are stored as files.", "As rows of pixels."),
    ],
)
def test_good_rows_pass(instruction, response):
    assert reason(instruction, response) is None


@pytest.mark.parametrize(
    ("expected", "instruction", "response"),
    [
        ("too_short", "Go on", "Yes, of course."),
        ("no_letters", GOOD[0], ""),
        ("too_long", "word " * 2001, "Yes."),
        ("too_long", GOOD[0], "word " * 2001),
        ("no_letters", "1 + 1 = ?", "2"),
        ("no_letters", GOOD[0], "... !!!"),
        ("refusal", GOOD[0], "I’m sorry, but I can’t help with that request."),
        ("refusal", GOOD[0], "As an AI language model, I do not have feelings."),
        ("refusal", GOOD[0], "Unfortunately, I cannot provide medical advice."),
        ("response_equals_instruction", GOOD[0], "name the capital  of France, PLEASE."),
        ("mentions_image_or_file", "Describe the image below in one sentence.", "A dog."),
        ("mentions_image_or_file", "Summarize the attached documents briefly.", "They say no."),
        ("unbalanced_code_fence", "Print x in Python.", "```python\nprint(x)\n"),
        ("unbalanced_code_fence", "Explain this code:\n~~~\nprint(x)\n```", "It prints x."),
    ],
)
def test_bad_rows_are_rejected_by_the_rule_they_break(expected, instruction, response):
    assert reason(instruction, response) == expected


def test_what_the_service_stopped_writing_is_truncated():
    assert reason(stop_reason="length") == "truncated"
    assert reason(stop_reason="MAX_TOKENS") == "truncated"
    assert reason(stop_reason=None) is None
    assert reason(stop_reason="length", truncated=False) is None


def test_blocked_words_are_whole_words_in_either_text():
    assert reason(blocklist=("FRANCE",)) == "blocklist"
    assert reason(blocklist=("paris",)) == "blocklist"
    assert reason(blocklist=("ran",)) is None
    assert reason("Sag bitte etwas über c++.", "Gut.", blocklist=("C++",)) == "blocklist"


def test_scripts_are_those_of_most_letters():
    assert reason(scripts=("LATIN",)) is None
    assert reason(scripts=("CYRILLIC",)) == "wrong_script"
    assert reason("Переведи слово hello, пожалуйста.", "привет", scripts=("CYRILLIC",)) is None
    assert reason("日本の首都はどこですか。", "42", scripts=("CJK", "HIRAGANA", "KATAKANA")) is None


def test_each_rule_can_be_switched_off():
    fence = "```\nopen"
    assert reason(GOOD[0], fence, balanced_code_fences=False) is None
    assert reason("1 + 1 = ?", "2", letters=False, minimum_instruction_words=1) is None
    assert reason(GOOD[0], GOOD[0], response_equals_instruction=False) is None
    assert reason(GOOD[0], "I cannot assist with that.", refusal_phrases=()) is None
    assert reason("Describe the image below, please.", "A dog.", image_and_file_phrases=()) is None
    assert reason(GOOD[0], "?", letters=False, minimum_response_words=0) is None
    assert reason(GOOD[0], " ", letters=False, minimum_response_words=0) == "too_short"


def test_every_rule_has_a_case_above():
    assert set(RULES) == {
        "no_letters", "too_short", "too_long", "truncated", "refusal", "response_equals_instruction",
        "mentions_image_or_file", "unbalanced_code_fence", "blocklist", "wrong_script",
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": {"blocklist": [" "]}},
        {"rules": {"scripts": ["KLINGON"]}},
        {"rouge_threshold": 70},
        {"filters": ["bleu"]},
        {"minhash": {"threshold": 1}},
        {"unknown": 1},
    ],
)
def test_settings_out_of_range_are_errors(wrong):
    with pytest.raises(ValidationError):
        CurationSettings.model_validate(wrong)
