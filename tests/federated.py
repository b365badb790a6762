"""Another issuer than the identity provider: like Kubernetes or SPIRE, it writes tokens into files."""

import json
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt

from proxy.clock import wall_time

SUBJECT = "system:serviceaccount:camunda:proxy"
SPIFFE_ID = "spiffe://example.org/camunda/proxy"


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good service account's token; a change to None leaves a claim out."""
    now = int(wall_time())
    found = {"iss": "https://issuer.example", "sub": SUBJECT, "iat": now, "exp": now + 600}
    found |= {"aud": "https://login.example/realms/camunda", "jti": str(uuid.uuid4())}
    return {name: value for name, value in (found | changes).items() if value is not None}


def unsigned(**changes: Any) -> str:
    """A JWT as the proxy sees it: it cannot check any signature."""
    parts = ({"alg": "RS256", "kid": "key-1"}, claims(**changes))
    head, body = (urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in parts)
    return f"{head}.{body}.c2lnbmF0dXJlLWNhbmFyeS1vZi10aGUtdG9rZW4"


def signed(private_key: str, **changes: Any) -> str:
    return jwt.encode(claims(**changes), private_key, "RS256", {"kid": "key-1"})


def projected(folder: Path, version: str, token: str) -> Path:
    """Writes a volume as the kubelet does: `..data` is a link that is renamed over. Returns the path."""
    path = folder / "token"
    (folder / version).mkdir(parents=True)
    (folder / version / "token").write_text(token)
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").rename(folder / "..data")
    if not path.is_symlink():
        path.symlink_to("..data/token")
    return path
