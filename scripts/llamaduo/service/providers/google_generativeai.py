"""Google's Gemini through google-generativeai, the SDK before google-genai, which its vendor no longer supports.

Its asynchronous calls need gRPC; over HTTP it is synchronous, so each call in flight has a thread.
"""

import asyncio
import json
import logging
import os
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import GoogleAuthError
from google.protobuf.json_format import ParseError

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Request, Transient
from llamaduo.service.providers import gemini
from llamaduo.service.providers.transport import Observe, reading, unanswered

with warnings.catch_warnings():
    # Whoever selects this SDK was told by the setting's description that it is unsupported.
    warnings.simplefilter("ignore", FutureWarning)
    import google.generativeai as genai
    from google.api_core import exceptions

SCHEMA_KEYWORDS = frozenset({"type", "description", "nullable", "enum", "items", "properties", "required"})
"""What this SDK's schemas can say; the rest is checked when the answer has come."""


class OlderGeminiProvider:
    """The service's model behind google-generativeai. `address`: the API's root, the same for a simulated service.

    The SDK shows no response's headers, so there is nothing to observe; what Google says of a limit is in the body.
    """

    def __init__(self, service: ServiceSettings, address: str | None, key: str | None, observe: Observe) -> None:
        self._service, self._key, self._address = service, key, address
        self._threads = ThreadPoolExecutor(service.concurrency, thread_name_prefix="google-generativeai")
        # It keeps ten connections and warns of each that it opens beyond.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        if service.is_simulated:
            _no_proxy_for_this_machine()
        genai.configure(api_key=key, transport="rest", client_options={"api_endpoint": address} if address else None)

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        content = gemini.body(self._service, request, samples)
        loop = asyncio.get_running_loop()
        try:
            response = await loop.run_in_executor(self._threads, self._generate, content, dict(headers))
        except exceptions.GoogleAPICallError as error:
            return [self._answer_or_raise(error, request)]
        except (requests.RequestException, GoogleAuthError) as error:
            raise unanswered(error, urlsplit(self._address or "").hostname) from error
        except (ParseError, UnicodeDecodeError, RecursionError) as error:
            raise Transient("not an answer of this protocol", may_be_charged=True) from error
        with reading():
            return gemini.answers(_as_sent(response), samples)

    async def close(self) -> None:
        # What is still in flight ends at its own timeout, and is awaited by nobody.
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _generate(self, content: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        settings = content["generationConfig"]
        config: dict[str, Any] = {
            "max_output_tokens": settings["maxOutputTokens"],
            "candidate_count": settings.get("candidateCount"),
            "temperature": settings.get("temperature"),
            "top_p": settings.get("topP"),
        }
        if "responseJsonSchema" in settings:
            config["response_mime_type"] = settings["responseMimeType"]
            config["response_schema"] = _schema(settings["responseJsonSchema"])
        model = genai.GenerativeModel(self._service.model, system_instruction=content.get("systemInstruction"))
        return model.generate_content(
            content["contents"],
            generation_config={name: value for name, value in config.items() if value is not None},
            request_options={
                "timeout": self._service.timeout_seconds,
                "retry": None,
                "metadata": [(name, value) for name, value in headers.items()],
            },
        )

    def _answer_or_raise(self, error: exceptions.GoogleAPICallError, request: Request) -> Answer:
        headers, details = getattr(error.response, "headers", {}), _details(error)
        return gemini.answer_or_raise(int(error.code or 0), headers, details, request, self._service, self._key)


def _as_sent(response: Any) -> dict[str, Any]:
    """The response in the form in which the API sent it."""
    usage, blocked = response.usage_metadata, response.prompt_feedback.block_reason
    return {
        "candidates": [
            {
                "index": candidate.index,
                "content": {"parts": [{"text": part.text} for part in candidate.content.parts]},
                "tokenCount": candidate.token_count or None,
                # The unspecified reason is that of an answer that is not whole.
                **({"finishReason": _name(candidate.finish_reason)} if candidate.finish_reason else {}),
            }
            for candidate in response.candidates
        ],
        "promptFeedback": {"blockReason": _name(blocked)} if blocked else {},
        "usageMetadata": {
            "promptTokenCount": usage.prompt_token_count,
            # The tokens of thinking, which this SDK is too old to name, are in the total and are charged for.
            "candidatesTokenCount": max(
                usage.candidates_token_count, usage.total_token_count - usage.prompt_token_count
            ),
            "cachedContentTokenCount": usage.cached_content_token_count,
        },
    }


def _name(value: Any) -> str:
    """The name of an enumeration's value; the number of one that this SDK is too old to know."""
    return str(getattr(value, "name", value))


def _schema(schema: Any) -> Any:
    """The schema in the words that this SDK knows."""
    kept = {name: value for name, value in schema.items() if name in SCHEMA_KEYWORDS}
    if "properties" in kept:
        kept["properties"] = {name: _schema(inner) for name, inner in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _schema(kept["items"])
    return kept


def _details(error: exceptions.GoogleAPICallError) -> dict[str, Any]:
    """The error as the API worded it."""
    try:
        details = json.loads(error.response.content)
    except (AttributeError, ValueError, RecursionError):
        details = None
    return details if isinstance(details, dict) else {"error": {"message": error.message}}


def _no_proxy_for_this_machine() -> None:
    """Reach a simulated service past the site's proxy; this SDK takes its proxies from the environment only."""
    for variable in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(variable, "").split(",") if host]
        os.environ[variable] = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))
