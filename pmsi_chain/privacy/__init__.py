"""What may leave this machine: tracing is refused, and a report is pseudonymised before a distant model reads it."""

from pmsi_chain.privacy.network import TRACING_VARIABLES, is_loopback, refuse_tracing
from pmsi_chain.privacy.pseudonymiser import Pseudonymised, Pseudonymiser, Replacement

__all__ = ["TRACING_VARIABLES", "Pseudonymised", "Pseudonymiser", "Replacement", "is_loopback", "refuse_tracing"]
