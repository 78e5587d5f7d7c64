"""The errors that a user can mend: shown as a single message, without a traceback."""

WRONG_OPTIONS = "wrong options (exit status 2): another attempt would end in the same way"
"""The last line of a program that was called with options that it does not take."""


class InputError(Exception):
    """Something the user gave is wrong; the message names the file, key or row and what would be right."""


class ServiceError(Exception):
    """A service LLM cannot be used now; what was paid for so far is in the journal."""


class MachineError(Exception):
    """This machine cannot do what it is asked for; another may."""
