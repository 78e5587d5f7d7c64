"""One call of a provider, through its vendor's SDK, to a scripted server."""

import asyncio

from vendor_server import VendorServer

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.interface import Answer, Request
from llamaduo.service.providers.registry import open_provider

OLDER_GEMINI = "google-generativeai"
PROVIDERS = ["openai", "anthropic", "gemini", OLDER_GEMINI]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 100}, "reason": {"type": "string"}},
}
REQUEST = Request(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hello?"),
        Message(role="assistant", content="Hello."),
        Message(role="user", content="How are you?"),
    ),
    json_schema=SCHEMA,
    generation=Generation(temperature=0.5, top_p=0.9, max_tokens=77),
)


def ask(provider: str, server: VendorServer, request: Request = REQUEST, **settings: object) -> Answer:
    chosen = {"provider": "gemini", "sdk": OLDER_GEMINI} if provider == OLDER_GEMINI else {"provider": provider}
    service = ServiceSettings.model_validate(
        {"model": "m-1", "simulated": True, "base_url": server.address, **chosen, **settings}
    )

    async def once() -> Answer:
        opened = open_provider("s", service, service.base_url)
        try:
            async with asyncio.timeout(service.timeout_seconds):
                return (await opened.ask(request, {"x-llamaduo-replicate": "3.1"}))[0]
        finally:
            await opened.close()

    return asyncio.run(once())
