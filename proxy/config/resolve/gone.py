"""Says what Camunda 8.10 has removed, and what to use instead."""

from proxy.config.document.credentials import BearerDocument, CredentialDocument
from proxy.config.model import Api, BaseUrl, Gone


def gone(api: Api, url: BaseUrl, credential: CredentialDocument | None) -> Gone | None:
    """Return what Camunda 8.10 has removed of an API, or of the way to authenticate to it; None: nothing.

    Source: Camunda's announcements and upgrade guide for 8.10.
    """
    if api in ("operate", "tasklist"):
        return Gone(
            (404,),
            f"Camunda 8.10 has no {api.title()} API (/v1) any more; "
            "use `zeebe`, whose /v2 has its requests since 8.8",
        )
    if api == "optimize" and isinstance(credential, BearerDocument):
        return Gone(
            (401, 403),
            "Optimize 8.10 does not accept the static token (OPTIMIZE_API_ACCESS_TOKEN) any more, unless "
            "optimize.security.csl.enabled is false; use a credential of type oauth2",
        )
    if api == "console" and not url.saas:
        return Gone(
            (404, 502, 503),
            "Camunda 8.10 has no Console Self-Managed any more; use `hub`, the API of Camunda Hub (/api/v2)",
        )
    return None
