"""Errors that a person can act on: the command line prints one line and ends."""


class EmberwatchError(Exception):
    """Something that the person who gave the command can put right; the message says what."""

    exit_status = 1


class SettingsError(EmberwatchError, ValueError):
    """A setting or a file of settings is wrong; names the variable, or the file, line and key."""

    exit_status = 2
