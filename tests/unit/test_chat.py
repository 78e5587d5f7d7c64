"""From a conversation to a model's tokens: families, own templates, BOS, the end of turn, words like special tokens."""

from pathlib import Path

import pytest
from tiny_models import build_tiny_tokenizer

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.models.chat import (
    FAMILIES,
    decode,
    end_of_turn_id,
    end_of_turn_ids,
    example_ids,
    load_tokenizer,
    prompt_ids,
    render,
)
from llamaduo.models.messages import Message

END_OF_TURN = {
    "gemma": "<end_of_turn>",
    "mistral": "</s>",
    "llama": "<|eot_id|>",
    "chatml": "<|im_end|>",
    "phi": "<|end|>",
}
TALK: list[Message] = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "Hello?"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "Hello world?"},
    {"role": "assistant", "content": "no, never"},
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    for family in FAMILIES:
        build_tiny_tokenizer(family, root / family)
        (root / family / "config.json").write_text("{}")
    return {family: root / family for family in FAMILIES}


def settings(folder: Path, **keys: object) -> ModelSettings:
    return ModelSettings.model_validate({"path": str(folder), **keys})


@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_is_told_from_the_tokens_and_none_is_added(family: str, folders: dict[str, Path]) -> None:
    from transformers import AutoTokenizer

    tokenizer = load_tokenizer(settings(folders[family]))
    assert tokenizer.chat_template == FAMILIES[family].template
    assert len(tokenizer) == len(AutoTokenizer.from_pretrained(str(folders[family])))
    assert tokenizer.convert_ids_to_tokens(end_of_turn_id(tokenizer)) == END_OF_TURN[family]
    assert tokenizer.eos_token_id in end_of_turn_ids(tokenizer)
    assert tokenizer.pad_token_id is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_an_example_is_the_prompt_of_inference_and_the_last_response(family: str, folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(settings(folders[family]))
    prompt, completion = example_ids(tokenizer, TALK)
    assert prompt == prompt_ids(tokenizer, TALK) == prompt_ids(tokenizer, TALK[:-1])
    assert decode(tokenizer, completion).strip() == "no, never" + END_OF_TURN[family]
    assert completion[-1] == end_of_turn_id(tokenizer)
    assert prompt.count(tokenizer.bos_token_id) == (0 if family in ("chatml", "phi") else 1)
    for turn in TALK[:-1]:
        assert turn["content"] in decode(tokenizer, prompt)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_covers_the_response_and_its_end_under_every_familys_template(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    from llamaduo.training.examples import IGNORED
    from llamaduo.training.mask import check_mask

    tokenizer = load_tokenizer(settings(folders[family]))
    prompt, completion = example_ids(tokenizer, TALK)
    ids, labels = prompt + completion, [IGNORED] * len(prompt) + completion
    check_mask(tokenizer, TALK, ids, labels)

    with pytest.raises(InputError, match="the loss must end on the end-of-turn token"):
        check_mask(tokenizer, TALK, ids[:-1], labels[:-1])
    with pytest.raises(InputError, match="must cover exactly the last response"):
        check_mask(tokenizer, TALK, ids, [IGNORED] * (len(prompt) + 1) + completion[1:])
    planted = "(message['content'] if message['role'] == 'assistant' else 'x') | trim"
    (tmp_path / "wrong.jinja").write_text(FAMILIES[family].template.replace("message['content'] | trim", planted))
    wrong = load_tokenizer(settings(folders[family], chat_template=tmp_path / "wrong.jinja"))
    prompt, completion = example_ids(wrong, TALK)
    with pytest.raises(InputError, match=r"the chat template leaves out the (system|user) turn"):
        check_mask(wrong, TALK, prompt + completion, [IGNORED] * len(prompt) + completion)


@pytest.mark.parametrize("family", ["gemma", "mistral"])
def test_a_system_turn_is_folded_into_the_first_user_turn(family: str, folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(settings(folders[family]))
    assert "You are brief.\n\nHello?" in render(tokenizer, TALK)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_that_read_like_special_tokens_stay_words(family: str, folders: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(settings(folders[family]))
    end = END_OF_TURN[family]
    talk: list[Message] = [
        {"role": "user", "content": f"What does {end} mean?"},
        {"role": "assistant", "content": f"yes {end} no"},
    ]
    prompt, completion = example_ids(tokenizer, talk)
    assert completion.count(end_of_turn_id(tokenizer)) == 1
    assert decode(tokenizer, completion).strip() == f"yes {end} no{end}"
    assert f"What does {end} mean?" in decode(tokenizer, prompt)


def test_the_models_own_template_comes_first_and_the_users_before_it(folders: dict[str, Path], tmp_path: Path) -> None:
    own = "{% for m in messages %}{{ m['role'] + ':' + m['content'] + '<|im_end|>' }}{% endfor %}"
    build_tiny_tokenizer("chatml", tmp_path / "own")
    (tmp_path / "own/config.json").write_text("{}")
    (tmp_path / "own/chat_template.jinja").write_text(own)
    assert load_tokenizer(settings(tmp_path / "own")).chat_template == own
    assert load_tokenizer(settings(tmp_path / "own", family="chatml")).chat_template == FAMILIES["chatml"].template
    theirs = own.replace(":", " says ")
    (tmp_path / "theirs.jinja").write_text(theirs)
    chosen = settings(tmp_path / "own", chat_template=tmp_path / "theirs.jinja")
    assert load_tokenizer(chosen).chat_template == theirs


def test_the_template_of_an_instruct_variant_that_thinks_is_used_without_thoughts(tmp_path: Path) -> None:
    no_thoughts = r"'<think>\n\n</think>\n\n'"
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
        "{% if m.role == 'assistant' and loop.last %}{{ " + no_thoughts + " }}{% endif %}"
        "{{ m.content + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
        "{% if not enable_thinking | default(true) %}{{ " + no_thoughts + " }}{% endif %}{% endif %}"
    )
    build_tiny_tokenizer("chatml", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "chat_template.jinja").write_text(template)
    tokenizer = load_tokenizer(settings(tmp_path, family="own"))
    prompt, completion = example_ids(tokenizer, TALK)
    assert decode(tokenizer, prompt).endswith("<think>\n\n</think>\n\n"), "the thoughts are empty, and not learned"
    assert decode(tokenizer, completion) == "no, never<|im_end|>"
    assert prompt == prompt_ids(tokenizer, TALK)


def test_a_base_model_has_no_template_of_its_own(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"family 'own': its tokenizer has no chat template.*one of gemma, mistral"):
        load_tokenizer(settings(folders["llama"], family="own"))


def test_a_family_whose_tokens_are_missing_is_an_error(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="family 'gemma': its tokenizer lacks <bos>, <start_of_turn>, <end_of_turn>"):
        load_tokenizer(settings(folders["llama"], family="gemma"))


def test_a_template_that_ends_no_turn_is_an_error(folders: dict[str, Path], tmp_path: Path) -> None:
    template = tmp_path / "wrong.jinja"
    template.write_text("{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}")
    with pytest.raises(InputError, match="must end a response with a special token"):
        load_tokenizer(settings(folders["gemma"], chat_template=template))


def test_a_template_that_refuses_a_conversation_is_quoted(folders: dict[str, Path], tmp_path: Path) -> None:
    template = tmp_path / "strict.jinja"
    template.write_text(
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}{{ m['content'] + '</s>' }}{% endfor %}"
    )
    tokenizer = load_tokenizer(settings(folders["mistral"], chat_template=template))
    with pytest.raises(InputError, match="Roles must alternate"):
        render(tokenizer, [TALK[1], TALK[3]])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: no such folder"):
        load_tokenizer(settings(tmp_path / "gone"))
