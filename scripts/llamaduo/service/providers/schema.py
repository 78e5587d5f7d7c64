"""JSON schemas in the strict form that OpenAI enforces."""

from typing import Any


def closed(schema: Any) -> Any:
    """The schema with every object closed: all its properties required and no others allowed.

    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        inner |= {"required": list(schema["properties"]), "additionalProperties": False}
    return inner
