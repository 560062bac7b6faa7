"""Why nothing answers at an address, in the few words that a person can act on."""

import requests


def why_unreachable(error: requests.RequestException) -> str:
    """The innermost reason, without the wrappings of three libraries; for a certificate, what to do."""
    told = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return (
            "its certificate is not one that this machine trusts. Name the file of it or of its authority: "
            "REQUESTS_CA_BUNDLE=/path/to/ca.crt"
        )
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return str(reason or told).rpartition(": ")[2].strip("()'\"") or type(error).__name__
