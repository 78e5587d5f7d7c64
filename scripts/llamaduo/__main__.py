"""`python -m llamaduo VERB`."""

from llamaduo.cli.command import main

main()
