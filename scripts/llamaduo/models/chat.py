"""A conversation as a model's tokens: chat templates, the end of a turn, and the one way from messages to ids."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.models.messages import Message, context, fold_system, response
from llamaduo.models.weights import base_folder, model_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer


class ChatFamily(NamedTuple):
    """The tokens that a family's chat template is made of, and the template. Its tokenizers have all of them."""

    tokens: tuple[str, ...]
    template: str


_GEMMA = """\
{{ bos_token }}
{%- for message in messages -%}
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n' }}
{{- message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""
_MISTRAL = """\
{{ bos_token }}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}{{ ' ' + message['content'] | trim + eos_token }}
{%- else -%}{{ '[INST] ' + message['content'] | trim + '[/INST]' }}{%- endif -%}
{%- endfor -%}
"""
_LLAMA = """\
{{ bos_token }}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}
"""
_CHATML = """\
{{ bos_token }}
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}
"""
_PHI = """\
{%- for message in messages -%}
{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}
"""

FAMILIES = {
    "gemma": ChatFamily(("<bos>", "<start_of_turn>", "<end_of_turn>"), _GEMMA),
    "mistral": ChatFamily(("<s>", "</s>", "[INST]", "[/INST]"), _MISTRAL),
    "llama": ChatFamily(("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), _LLAMA),
    "chatml": ChatFamily(("<|im_start|>", "<|im_end|>"), _CHATML),
    "phi": ChatFamily(("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"), _PHI),
}
KNOW_NO_SYSTEM = ("gemma", "mistral")
_PROBE = "turnoftheprobe"
# Stands for the n-th special token's text inside the words of a user or a model; the characters are private use.
_QUOTED = re.compile("\ue0f0(\\d+)\ue0f1")


def load_tokenizer(model: ModelSettings) -> "Tokenizer":
    """The model's tokenizer with a chat template (the user's, its own, or its family's) and a padding token.

    No token is added. Raises `InputError` when there is no tokenizer, when it lacks a token of the named family, when
    no template can be told from it, or when the template does not end a turn with a special token.
    """
    from transformers import AutoTokenizer

    folder = model_folder(model.path, model.revision)
    if model.kind == "adapter" and not (folder / "tokenizer_config.json").is_file():
        folder = base_folder(model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{model.path}: its tokenizer cannot be loaded: {problem}") from error
    tokenizer.chat_template = _template(tokenizer, model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise InputError(f"{model.path}: its tokenizer has no pad, unk or eos token to pad batches with")
    end_of_turn_id(tokenizer)
    return tokenizer


def _template(tokenizer: "Tokenizer", model: ModelSettings) -> str:
    if model.chat_template is not None:
        if not model.chat_template.is_file():
            raise InputError(f"{model.chat_template}: no such file (the chat template of {model.path})")
        return model.chat_template.read_text(encoding="utf-8")
    if model.family in ("auto", "own") and isinstance(tokenizer.chat_template, str):
        return tokenizer.chat_template
    if model.family == "own":
        raise InputError(
            f"{model.path}: family 'own': its tokenizer has no chat template, as base models often have none; set "
            f"family to 'auto' or to one of {', '.join(FAMILIES)}"
        )
    family = detect_family(tokenizer, model.path) if model.family == "auto" else model.family
    vocabulary = tokenizer.get_vocab()
    if missing := [token for token in FAMILIES[family].tokens if token not in vocabulary]:
        raise InputError(
            f"{model.path}: family {family!r}: its tokenizer lacks {', '.join(missing)}; choose another family, "
            "or give a chat_template made of tokens that it has"
        )
    return FAMILIES[family].template


def detect_family(tokenizer: "Tokenizer", path: str) -> str:
    """The first family whose tokens the tokenizer has. Raises `InputError` when there is none."""
    vocabulary = tokenizer.get_vocab()
    for name, family in FAMILIES.items():
        if all(token in vocabulary for token in family.tokens):
            return name
    raise InputError(
        f"{path}: its tokenizer has no chat template and not the tokens of any known family "
        f"({', '.join(FAMILIES)}); give a chat_template made of tokens that it has"
    )


def end_of_turn_id(tokenizer: "Tokenizer") -> int:
    """The special token that ends a response in the tokenizer's chat template.

    Found by rendering a conversation, so that it holds for any template. Raises `InputError` when none follows.
    """
    return _template_facts(tokenizer, str(tokenizer.chat_template)).end_of_turn


def end_of_turn_ids(tokenizer: "Tokenizer") -> list[int]:
    """The tokens that end a response when generated: the template's end of turn, and the end of text."""
    ids = [end_of_turn_id(tokenizer)]
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ids:
        ids.append(tokenizer.eos_token_id)
    return ids


def render(tokenizer: "Tokenizer", messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
    """A conversation as text; a system turn that the template does not know is folded into the first user turn.

    Raises `InputError` when the template refuses the conversation, with the template's own words.
    """
    turns = list(messages)
    if turns and turns[0]["role"] == "system" and not knows_system(tokenizer):
        turns = fold_system(turns)
    return _apply(tokenizer, turns, add_generation_prompt)


def knows_system(tokenizer: "Tokenizer") -> bool:
    """Whether the chat template has a system turn of its own."""
    return _template_facts(tokenizer, str(tokenizer.chat_template)).knows_system


def prompt_ids(tokenizer: "Tokenizer", messages: Sequence[Message]) -> list[int]:
    """What a model is given to answer: the turns before the last response and the start of the assistant's turn.

    BOS is in it where the template has it. Words of a turn that read like a special token (`</s>` in a web page) are
    encoded as plain text.
    """
    quoted = _quote(tokenizer, context(messages))
    return _encode(tokenizer, render(tokenizer, quoted, add_generation_prompt=True))


def example_ids(tokenizer: "Tokenizer", messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    """A training example as (prompt, completion): the completion is the last response and the end-of-turn token.

    The two are encoded apart, so that the prompt is the very one of inference. Raises `InputError` when the template
    does not render a response as a continuation of its prompt, or ends it without the end-of-turn token.
    """
    quoted = _quote(tokenizer, messages)
    prompt = render(tokenizer, context(quoted), add_generation_prompt=True)
    whole = render(tokenizer, quoted)
    if not whole.startswith(prompt):
        raise InputError("the chat template renders a response not as the continuation of its prompt")
    completion = _encode(tokenizer, whole[len(prompt) :])
    end = end_of_turn_id(tokenizer)
    if end not in completion:
        raise InputError("the chat template ends the response without its end-of-turn token")
    last = len(completion) - completion[::-1].index(end)
    return _encode(tokenizer, prompt), completion[:last]


def decoded_response(tokenizer: "Tokenizer", messages: Sequence[Message]) -> str:
    """The last response as the tokenizer gives it back: equal up to what its normaliser changes."""
    ids = _encode(tokenizer, _quote_text(tokenizer, response(messages).strip()))
    return decode(tokenizer, ids).strip()


def decode(tokenizer: "Tokenizer", ids: Sequence[int], skip_special_tokens: bool = False) -> str:
    """The text of token ids, as it was written: no spaces are tidied away."""
    text = tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False)
    return str(text)


def special_tokens(tokenizer: "Tokenizer") -> tuple[str, ...]:
    """The texts that the tokenizer takes for special tokens, the longest first."""
    return _template_facts(tokenizer, str(tokenizer.chat_template)).special_tokens


class _TemplateFacts(NamedTuple):
    end_of_turn: int
    knows_system: bool
    special_tokens: tuple[str, ...]
    special_pattern: re.Pattern[str] | None


@lru_cache(maxsize=16)
def _template_facts(tokenizer: "Tokenizer", template: str) -> _TemplateFacts:
    """What holds for every conversation under this template; found once, used for every row."""
    special = {token: str(added) for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    texts = tuple(sorted(set(special.values()), key=lambda text: (-len(text), text)))
    user, assistant = Message(role="user", content="u"), Message(role="assistant", content=_PROBE)
    _, found, rest = _apply(tokenizer, [user, assistant], False).rpartition(_PROBE)
    if not found:
        raise InputError("the chat template leaves the assistant's words out")
    ids = _encode_text(tokenizer, rest.strip())
    if not ids or ids[0] not in special:
        raise InputError(
            f"the chat template must end a response with a special token of the tokenizer; after it comes {rest!r}"
        )
    if any(template == FAMILIES[name].template for name in KNOW_NO_SYSTEM):
        system = False
    else:
        try:
            system = _PROBE in _apply(tokenizer, [Message(role="system", content=_PROBE), user], True)
        except InputError:
            system = False
    pattern = re.compile("|".join(map(re.escape, texts))) if texts else None
    return _TemplateFacts(ids[0], system, texts, pattern)


def _apply(tokenizer: "Tokenizer", messages: Sequence[Message], add_generation_prompt: bool) -> str:
    from jinja2.exceptions import TemplateError

    try:
        return tokenizer.apply_chat_template(
            list(messages),
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,  # templates of reasoning models; others ignore it
        )
    except TemplateError as error:
        raise InputError(f"the chat template refuses the conversation: {error}") from error


def _quote(tokenizer: "Tokenizer", messages: Sequence[Message]) -> list[Message]:
    """The turns with marks in place of the texts of special tokens."""
    return [Message(role=turn["role"], content=_quote_text(tokenizer, turn["content"])) for turn in messages]


def _quote_text(tokenizer: "Tokenizer", text: str) -> str:
    facts = _template_facts(tokenizer, str(tokenizer.chat_template))
    if facts.special_pattern is None:
        return text
    return facts.special_pattern.sub(lambda found: f"\ue0f0{facts.special_tokens.index(found.group())}\ue0f1", text)


def _encode(tokenizer: "Tokenizer", text: str) -> list[int]:
    """Token ids of a rendered text, with quoted special tokens spelled out as plain text."""
    if "\ue0f0" not in text:
        return _encode_text(tokenizer, text)
    tokens = special_tokens(tokenizer)
    ids: list[int] = []
    for place, part in enumerate(_QUOTED.split(text)):
        if place % 2:
            ids += _encode_plainly(tokenizer, tokens[int(part)])
        elif part:
            ids += _encode_text(tokenizer, part)
    return ids


def _encode_text(tokenizer: "Tokenizer", text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _encode_plainly(tokenizer: "Tokenizer", text: str) -> list[int]:
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    backend.encode_special_tokens = True
    try:
        return backend.encode(text, add_special_tokens=False).ids
    finally:
        backend.encode_special_tokens = False
