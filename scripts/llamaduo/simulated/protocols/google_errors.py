"""How Google's APIs word an error. https://cloud.google.com/apis/design/errors"""

from llamaduo.simulated.protocols.interface import Body, Refusal


def google_error(status: int, name: str, message: str, spent_quota: str | None = None) -> Refusal:
    """The answer with an HTTP status and the name that Google has for it; `spent_quota`: of which nothing is left."""
    error: Body = {"code": status, "message": message, "status": name}
    if spent_quota is not None:
        violation = {"quotaId": spent_quota}
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
    return Refusal(status, {"error": error})
