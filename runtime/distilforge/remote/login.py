"""How requests to an OCI registry carry the credentials of `docker login`.

oras has one way for each kind of registry, and keeps a token that the registry does not take any more.
"""

import re

import oras.auth
import requests

_BASIC = re.compile(r"(^|,)\s*basic\b", re.IGNORECASE)


class Login(oras.auth.TokenAuth):  # type: ignore[misc]  # oras has no types
    """The credentials for one registry, which says with a refusal whether it wants a token or a password.

    A token is for some actions and some minutes: a registry that refuses one gets a new one.
    """

    def __init__(self, session: requests.Session, *, plain: bool) -> None:
        """`session` makes the requests for tokens, over HTTP if `plain`."""
        super().__init__()
        self.session = session
        self.prefix = "http" if plain else "https"
        self._tls_verify = True
        self._scheme = "Bearer"

    def get_auth_header(self) -> dict[str, str]:
        """The header of a request; oras asks for it once there is a token."""
        return {"Authorization": f"{self._scheme} {self.token}"}

    def authenticate_request(
        self, original: requests.Response, headers: dict[str, str], refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        """The headers for another try after the refusal `original`.

        Raises PermissionError if there are no credentials for the registry, or if it gives no token for them.
        """
        if _BASIC.search(original.headers.get("Www-Authenticate", "")):
            self._scheme, self.token = "Basic", getattr(self, "_basic_auth", None)
            if not self.token:
                raise PermissionError("the registry wants a name and a password, and there are none for it")
            return {**headers, **self.get_auth_header()}, True
        self._scheme = "Bearer"
        changed, again = super().authenticate_request(original, headers, refresh=True)
        if not again:
            raise PermissionError("the registry does not allow it, and gives no token for it")
        return changed, again
