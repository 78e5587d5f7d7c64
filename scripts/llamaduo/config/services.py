"""The section `services`: which service LLMs there are, how they are reached, and how much may be asked of them."""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, HttpUrl, TypeAdapter, ValidationError, field_validator, model_validator

from llamaduo.config.base import Section
from llamaduo.config.simulation import Simulation
from llamaduo.config.vendors import objections

SIMULATED = "simulated"

ProviderName = Literal["openai", "anthropic", "anthropic-vertex", "anthropic-bedrock", "gemini", "gemini-vertex"]
PROVIDERS: tuple[str, ...] = get_args(ProviderName)
GeminiSDK = Literal["google-genai", "google-generativeai"]
Mode = Literal["online", "batch"]
Thinking = Literal["none", "minimal", "low", "medium", "high"]

MARKS_OF_CREDENTIALS = "@?"
# Twenty letters and digits without a break are a key rather than a name.
VARIABLE = re.compile(r"(?=[A-Za-z_])(?!(?=\w*\d)[A-Za-z0-9]{20})\w+", re.ASCII)
_ADDRESS = TypeAdapter(HttpUrl)


def _parsed_address(value: str) -> HttpUrl:
    try:
        return _ADDRESS.validate_python(value)
    except ValidationError:
        raise ValueError('not an address; expected http://..., https://... or "simulated"') from None


def _known_provider(value: object) -> object:
    if value not in PROVIDERS:
        raise ValueError(f"unknown provider; the providers are {', '.join(PROVIDERS)}")
    return value


class Generation(Section):
    """How a service LLM samples its answers."""

    temperature: float | None = Field(default=1.0, ge=0, le=2)
    """Sampling temperature, at most 2 (Anthropic: 1); null leaves the vendor's default."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling: the share of probability that is sampled from; null leaves the vendor's default."""
    max_tokens: int = Field(default=4096, ge=1)
    """Most tokens of one answer's text; what is longer is cut off and recorded as cut off."""
    thinking: Thinking | None = None
    """How much the model thinks before it answers; null leaves the vendor's default."""
    thinking_tokens: int | None = Field(default=None, ge=0)
    """Room for thoughts, in tokens on top of max_tokens; null: by the level of `thinking` and the model."""
    stop: list[str] | None = Field(default=None, min_length=1)
    """Texts at which an answer ends; null for none."""
    seed: int | None = None
    """Seed of the vendor's sampling; replicate number k of a prompt is sent with seed + k. Not all vendors take one."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Penalty on tokens that the text has already; null leaves the vendor's default."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Penalty on tokens by how often the text has them; null leaves the vendor's default."""
    safety: dict[str, str] | None = None
    """Gemini: thresholds by harm category, for example HARM_CATEGORY_HARASSMENT: BLOCK_NONE; null: the vendor's."""
    extra_body: dict[str, Any] | None = None
    """Fields put into the body of each call as they are, for what only one server knows, for example
    `chat_template_kwargs: {enable_thinking: false}` at vLLM."""


class GeneratorGeneration(Generation):
    """Sampling of a generator: varied pairs, several to an answer."""

    max_tokens: int = Field(default=8192, ge=1)
    """Most tokens of one answer, which holds several pairs."""


class JudgeGeneration(Generation):
    """Sampling of a judge: the M grades of a response are samples, so they need a temperature above 0 to differ."""

    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of one answer: a score and a reason for each metric."""


class BaselineGeneration(Generation):
    """Sampling of the service LLM's own responses: as the local LLMs' (arXiv 2408.13467, section 4)."""

    temperature: float | None = Field(default=0.8, ge=0, le=2)
    """Sampling temperature, at most 2 (Anthropic: 1); null leaves the vendor's default."""
    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of one response."""


class RoleGeneration(Section):
    """How a service LLM samples its answers, per role."""

    generator: GeneratorGeneration = GeneratorGeneration()
    """As generator, writing synthetic pairs."""
    judge: JudgeGeneration = JudgeGeneration()
    """As judge, grading responses."""
    baseline: BaselineGeneration = BaselineGeneration()
    """As the service to be matched, answering the test prompts itself."""


class Price(Section):
    """What a model costs, in US dollars per million tokens."""

    prompt: float = Field(ge=0)
    """Tokens of prompts."""
    completion: float = Field(ge=0)
    """Tokens of answers, those of thinking included."""
    cached_prompt: float | None = Field(default=None, ge=0)
    """Tokens of prompts that the vendor reads from its cache; null: as other prompts."""
    cache_write: float | None = Field(default=None, ge=0)
    """Tokens of prompts that the vendor writes to its cache; null: as other prompts."""
    batch_prompt: float | None = Field(default=None, ge=0)
    """Tokens of prompts sent through the batch API; null: no batch price is known, and the full one is counted."""
    batch_completion: float | None = Field(default=None, ge=0)
    """Tokens of answers from the batch API; null: no batch price is known, and the full one is counted."""
    batch_cached_prompt: float | None = Field(default=None, ge=0)
    """Tokens read from the cache in the batch API; null: the lower of cached_prompt and batch_prompt."""


class ServiceSettings(Section):
    """One service LLM."""

    UNCOMPARED = (
        dict.fromkeys(("base_url", "azure_api_version", "project", "location", "sdk"), "the way to the same model")
        | dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrency", "steps_at_once"), "pace")
        | dict.fromkeys(("timeout_seconds", "retries", "batch_poll_seconds"), "patience")
        | dict.fromkeys(("mode", "batch_requests", "batch_megabytes", "samples_per_call"), "how calls are bundled")
        | dict.fromkeys(("prompt_caching", "price"), "money")
        | {"api_key_variable": "the key", "simulation": "faults that are asked again", "simulated": "see `derived`"}
    )

    def derived(self) -> dict[str, bool]:
        """Whether the answers are of a simulated service."""
        return {"simulated": self.is_simulated}

    provider: Annotated[ProviderName, BeforeValidator(_known_provider)]
    """Whose protocol and SDK: openai (also Azure OpenAI and any OpenAI-compatible server, by base_url), anthropic,
    anthropic-vertex, anthropic-bedrock, gemini (AI Studio) or gemini-vertex."""
    sdk: GeminiSDK | None = None
    """Gemini only: google-generativeai selects that older, unsupported SDK; null: google-genai."""
    azure_api_version: str | None = Field(default=None, min_length=1)
    """OpenAI only: the api-version of an Azure OpenAI resource at base_url; null for its v1 address, and elsewhere."""
    project: str | None = Field(default=None, min_length=1)
    """Vertex AI's project; null: the environment variable GCP_PROJECT_ID, or that of the credentials."""
    location: str | None = Field(default=None, min_length=1)
    """Vertex AI's location or Bedrock's region; null: the environment variable GCP_LOCATION, or AWS_LOCATION."""
    model: str = Field(min_length=1)
    """The model's name at the vendor."""
    base_url: str | None = None
    """Address as the vendor's SDK takes it; null is the vendor's own; "simulated" starts the simulated service."""
    simulated: bool = False
    """True when a simulated service runs at base_url; its address is then http://host:port, whatever the provider."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Most requests per minute, retries included; null for no limit but what the server's headers tell."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Most tokens per minute, of prompts and answers together; null for no limit but what the server's headers tell."""
    samples_per_call: int = Field(default=1, ge=1)
    """Most samples of one prompt's answer that a call may ask for, at one charge of the prompt (OpenAI, Gemini)."""
    prompt_caching: bool = True
    """Anthropic: mark the part that a judge's prompts share for the vendor's cache, where it is long enough."""
    mode: Mode = "online"
    """batch: send the calls through the vendor's batch API, at half the price and within a day; online: at once."""
    batch_poll_seconds: float = Field(default=60.0, gt=0)
    """Seconds between two looks at the batches under way."""
    batch_requests: int | None = Field(default=None, ge=1)
    """Most requests of one batch; null: as many as the vendor takes."""
    batch_megabytes: float | None = Field(default=None, gt=0)
    """Most megabytes (10^6 bytes) of one batch; null: as many as the vendor takes."""
    price: Price | None = None
    """What it charges; null: looked up in the file `prices`."""
    concurrency: int = Field(default=16, ge=1)
    """Most requests in flight at once."""
    steps_at_once: int = Field(default=1, ge=1)
    """Steps that may ask it at the same time, each with its part of the limits and of `concurrency`. One step fills
    them as well; more of them wait together where every step waits in a cluster's queue."""
    timeout_seconds: float = Field(default=120.0, gt=0)
    """Longest wait for one answer; after it the request counts as failed and is retried."""
    retries: int = Field(default=6, ge=0)
    """How often a request is sent again after a rate limit, a server's error or a lost connection."""
    attempts: int = Field(default=3, ge=1)
    """How often the same is asked until the answer has the form that was asked for."""
    api_key_variable: str | None = Field(default=None, min_length=1)
    """Environment variable that holds the API key or access token; null: the vendor's own, or SERVICE_LLM_API_KEY. An
    OpenAI-compatible server at an http:// address, such as vLLM's or Ollama's, needs none."""
    structured_output: bool = True
    """Have the vendor enforce the JSON schema; false for models that cannot (the schema is then only checked here)."""
    generation: RoleGeneration = RoleGeneration()
    """Sampling, per role."""
    simulation: Simulation = Simulation()
    """The behaviour of the simulated service, when base_url is "simulated"."""

    def of_one_step(self) -> Self:
        """The settings of one of the steps that ask at the same time: with its part of what they share."""
        parts = self.steps_at_once
        limits = {"requests_per_minute": self.requests_per_minute, "tokens_per_minute": self.tokens_per_minute}
        divided = {name: limit / parts for name, limit in limits.items() if limit is not None}
        return self.model_copy(update={**divided, "concurrency": max(1, self.concurrency // parts)})

    @property
    def vendor(self) -> str:
        """Whose protocol it is, wherever it is served: openai, anthropic or gemini."""
        return self.provider.split("-")[0]

    @property
    def is_simulated(self) -> bool:
        """Whether the answers come from a simulated service, and everything made from them is to say so."""
        return self.simulated or self.base_url == SIMULATED

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None or value == SIMULATED:
            return value
        # A message about this field alone would show its value.
        if not any(mark in value for mark in MARKS_OF_CREDENTIALS):
            _parsed_address(value)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _no_credentials(self) -> Self:
        # A message about the field alone would show its value.
        if self.api_key_variable is not None and not VARIABLE.fullmatch(self.api_key_variable):
            raise ValueError(
                "api_key_variable: not the name of an environment variable; its value is not shown, as it may be the "
                "API key itself: put that into an environment variable, and the variable's name here"
            )
        if self.base_url is None or self.base_url == SIMULATED:
            return self
        try:
            address = _parsed_address(self.base_url)
        except ValueError as error:
            raise ValueError(f"base_url: {error}") from None
        if address.username is not None or address.password is not None or address.query is not None:
            raise ValueError(
                "base_url: holds a user name, a password or a query, and would carry them into logs and results; "
                "give the address alone, and the key in an environment variable (api_key_variable)"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.simulated and self.base_url is None:
            raise ValueError('simulated needs a base_url: the address of the simulated service, or "simulated"')
        if found := list(objections(self)):
            raise ValueError("; ".join(found))
        return self
