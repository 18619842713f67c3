"""A server's address: the URL that is asked and shown, and what of it must stay unseen.

User and password go into a header and the query (Azure's `?api-version=...`, or a key) stays on
every request; neither is in any message.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2

from lrgd.core.errors import InputError

V1 = "/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL, taken apart."""

    url: str
    """Without user, password, query and fragment."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Goes with every request."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Basic authorization, where the URL names a user."""


def address_of(base_url: str, v1: bool | None = None) -> Address:
    """A base URL, taken apart.

    Args:
        v1: whether the server's endpoints lie under /v1; None: as the URL says.

    Raises:
        InputError: it is no URL with http or https and a host.
    """
    try:
        url = httpx2.URL(base_url.strip())
    except (httpx2.InvalidURL, ValueError) as error:
        raise InputError(f"{_WANTED}, got one that cannot be read ({error})") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError(f"{_WANTED}, got {'another' if '@' in base_url else repr(base_url)}")
    path = url.path.rstrip("/")
    if v1 is not None:
        path = f"{path.removesuffix(V1)}{V1 if v1 else ''}"
    headers = {}
    if url.username or url.password:
        pair = b64encode(f"{url.username}:{url.password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
    query = dict(url.params.multi_items())
    bare = url.copy_with(username="", password="", query=None, fragment=None, path=path or "/")
    return Address(str(bare).rstrip("/"), query, headers)


def proofs(request: httpx2.Request) -> list[str]:
    """What a request proves itself by, beside its query: a key, or a password as sent and clear."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return [given]
    return [given, b64decode(given).decode(errors="replace").partition(":")[2]]


def is_versioned(base_url: str) -> bool:
    """Whether a base URL ends with /v1."""
    return address_of(base_url).url.endswith(V1)


_WANTED = "wanted a server's URL, as http://127.0.0.1:8000/v1"
