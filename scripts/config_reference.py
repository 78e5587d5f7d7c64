"""Write what is made from the config's models: config/schema.json and the reference in config/README.md."""

from pathlib import Path

from llamaduo.cli.program import run

START, END = "<!-- reference: start -->", "<!-- reference: end -->"


def main(schema: Path = Path("config/schema.json"), readme: Path = Path("config/README.md")) -> None:
    """Write both files.

    Args:
        schema: the JSON schema
        readme: the page whose part between the reference's marks is replaced
    """
    from llamaduo.config.reference import json_schema, markdown
    from llamaduo.storage.files import write_text

    write_text(schema, json_schema())
    before, rest = readme.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    write_text(readme, f"{before}{START}\n\n{markdown()}\n{END}{after}")


if __name__ == "__main__":
    run(main, __doc__)
