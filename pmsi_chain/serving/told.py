"""What may be told of a failure: one line, never a word of a report."""

from __future__ import annotations

from pmsi_chain.errors import InputError, ModelOutputError, PmsiChainError

#: The answer to anything unexpected; the log has its place in the code, nobody gets its words.
UNEXPECTED = "erreur interne : réessayer, puis donner l'heure et l'en-tête x-request-id à l'administrateur"


def status_of(error: PmsiChainError) -> int:
    """HTTP status of an error of ours: 422 the caller's, 502 a model's answer, 503 the installation or a service."""
    if isinstance(error, InputError):
        return 422
    return 502 if isinstance(error, ModelOutputError) else 503


def line_of(error: PmsiChainError) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())
