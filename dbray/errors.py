"""Errors that a person reads: each is one line that says what is wrong, where, and what to do."""


class UserError(Exception):
    """Bad input or an unusable place; a command prints it as one line and exits with status 2."""


class StorageError(OSError):
    """Storage that refuses or does not answer; the message names the file and what to do."""


class TrialFailedError(Exception):
    """A trial that cannot give a result (its loss is not finite); the study keeps it as failed."""
