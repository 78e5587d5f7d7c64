"""The config's JSON schema and its reference in words, both made from the models."""

import json
from typing import Any

from llamaduo.config.root import Config


def json_schema() -> str:
    """The config's JSON schema, for editors and validators."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Config of the LlamaDuo workflow"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def markdown() -> str:
    """Every key with its type, default and meaning: one table per section."""
    schema = Config.model_json_schema()
    lines: list[str] = []
    _section(schema, schema, "", lines, set())
    return "\n".join(lines)


def _section(node: dict[str, Any], schema: dict[str, Any], path: str, lines: list[str], seen: set[str]) -> None:
    title = f"`{path}`" if path else "Top level"
    text = node.get("description", "")
    lines += [f"### {title}", "", text, "", "| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    deeper: list[tuple[str, str]] = []
    required = set(node.get("required", []))
    for key, value in node.get("properties", {}).items():
        for name, suffix in _sections_in(value):
            deeper.append((f"{path}.{key}{suffix}".lstrip("."), name))
        default = "required" if key in required else _default(value)
        meaning = " ".join(value.get("description", "").split()) or _first_line(value, schema)
        lines.append(f"| `{key}` | {_type(value)} | {default} | {meaning} |")
    lines.append("")
    for place, name in deeper:
        if name not in seen:
            seen.add(name)
            _section(schema["$defs"][name], schema, place, lines, seen)


def _sections_in(value: dict[str, Any]) -> list[tuple[str, str]]:
    """The sections that a key's value is made of, with what stands for their names in paths."""
    if "$ref" in value:
        return [(value["$ref"].rsplit("/", 1)[1], "")]
    found = [pair for part in value.get("anyOf", []) + value.get("oneOf", []) for pair in _sections_in(part)]
    if isinstance(value.get("additionalProperties"), dict):
        found += [(name, f".NAME{suffix}") for name, suffix in _sections_in(value["additionalProperties"])]
    if isinstance(value.get("items"), dict):
        found += [(name, f"[]{suffix}") for name, suffix in _sections_in(value["items"])]
    return found


def _type(value: dict[str, Any]) -> str:  # noqa: PLR0911 - one return per kind of value
    if "enum" in value:
        return " \\| ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        return "section"
    parts = value.get("anyOf") or value.get("oneOf")
    if parts:
        return " \\| ".join(dict.fromkeys(_type(part) for part in parts))
    kind = str(value.get("type", "any"))
    if kind == "array":
        return f"list of {_type(value.get('items', {}))}"
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"NAME: {_type(value['additionalProperties'])}"
    return kind + _range(value)


def _range(value: dict[str, Any]) -> str:
    signs = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}
    bounds = [f"{sign}{value[name]:g}" for name, sign in signs.items() if name in value]
    return f" ({', '.join(bounds)})" if bounds else ""


def _default(value: dict[str, Any]) -> str:
    if "default" not in value:
        return "see its section" if _sections_in(value) else ""
    default = value["default"]
    if isinstance(default, dict) and default:
        return "see its section" if _sections_in(value) else f"`{json.dumps(default)}`"
    return f"`{json.dumps(default, ensure_ascii=False)}`".replace("|", "\\|")


def _first_line(value: dict[str, Any], schema: dict[str, Any]) -> str:
    names = [name for name, _ in _sections_in(value)]
    return str(schema["$defs"][names[0]].get("description", "")).split("\n", 1)[0] if names else ""
