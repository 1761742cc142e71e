"""The benches behind `pmsi-chain bench`: retrieval, evidence, coding, speed; numbers with n and intervals."""
