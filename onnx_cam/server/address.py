"""Which hosts are local, and which names a request may call the server by."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from onnx_cam.errors import SettingError

__all__ = ["AllowedHosts", "check_address", "is_local"]

_LOCALHOST = "localhost"
_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,251}[a-z0-9])?")
_TOKEN = re.compile(r"[\x21-\x7e]{1,500}")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_local(host: str) -> bool:
    """Tell whether a host is this machine and nobody else can reach it.

    Examples
    --------
    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("::1"), is_local("0.0.0.0")
    (True, True, True, False)
    """
    address = _address(host)
    return host.lower() == _LOCALHOST if address is None else address.is_loopback


def check_address(host: str, token: str | None, allow_hosts: Sequence[str] = ()) -> None:
    """Check what can be judged of an address without opening it.

    Parameters
    ----------
    host : str
        The name or the IP address to listen at.
    token : str or None
        What every request of the API has to show.
    allow_hosts : sequence of str
        Names that requests may call the server by.

    Raises
    ------
    SettingError
        Others can reach the host, and there is no token; or one of them cannot be used.

    Examples
    --------
    >>> check_address("127.0.0.1", None)
    >>> check_address("0.0.0.0", None)
    Traceback (most recent call last):
        ...
    onnx_cam.errors.SettingError: other machines can reach host '0.0.0.0', so a token is needed: add --token T, ...
    """
    if _address(host) is None and not _NAME.fullmatch(host.lower()):
        raise SettingError(f"invalid host {host!r}: expected a name or an IP address, e.g. 127.0.0.1")
    if token is not None and not _TOKEN.fullmatch(token):
        raise SettingError("invalid token: expected 1 to 500 printable ASCII characters without spaces")
    if token is None and not is_local(host):
        raise SettingError(
            f"other machines can reach host {host!r}, so a token is needed: add --token T, a long random text, or "
            "leave out --host to serve this machine only"
        )
    for name in allow_hosts:
        if _address(name) is None and not _NAME.fullmatch(name.lower()):
            raise SettingError(f"invalid name {name!r} of an allowed host: expected a name without a port")


@dataclass(frozen=True)
class AllowedHosts:
    """The names that a request may call the server by.

    A page of another site can let its own name lead to this machine (DNS rebinding); such a request names that site as
    its host. An IP address cannot be made to lead anywhere else, so where the server is open to others every IP address
    is taken.

    Attributes
    ----------
    names : frozenset of str
        In lower case.
    any_address : bool
        Whether any IP address is taken; otherwise only those of this machine alone.

    Examples
    --------
    >>> hosts = AllowedHosts.of("127.0.0.1", ["cam.example.org"])
    >>> hosts.allows("localhost:8000"), hosts.allows("cam.example.org"), hosts.allows("evil.example")
    (True, True, False)
    """

    names: frozenset[str]
    any_address: bool

    @classmethod
    def of(cls, host: str, allow_hosts: Sequence[str] = ()) -> AllowedHosts:
        """Return the names for a host to listen at, and names that the operator allows."""
        names = {_LOCALHOST, host.lower(), *(name.lower() for name in allow_hosts)}
        return cls(frozenset(names), any_address=not is_local(host))

    def allows(self, host: str) -> bool:
        """Tell whether a request's Host header names this server; its port does not matter."""
        name = _without_port(host)
        if name is None:
            return False
        if name in self.names:
            return True
        address = _address(name)
        return address is not None and (self.any_address or address.is_loopback)

    def is_same_origin(self, origin: str, host: str) -> bool:
        """Tell whether an Origin header is that of the server's own page, as the Host header names it.

        Behind a proxy with TLS the scheme is not the one that arrives here, so it does not count.

        Examples
        --------
        >>> hosts = AllowedHosts.of("127.0.0.1")
        >>> hosts.is_same_origin("http://localhost:8000", "localhost:8000")
        True
        >>> hosts.is_same_origin("http://localhost:3000", "localhost:8000")
        False
        """
        scheme, separator, authority = origin.lower().partition("://")
        if not separator or scheme not in _DEFAULT_PORTS:
            return False
        default = f":{_DEFAULT_PORTS[scheme]}"
        return authority.removesuffix(default) == host.lower().removesuffix(default)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _without_port(host: str) -> str | None:
    """Return the name of a Host header; None where it is none."""
    match = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/\s]+))(?::[0-9]{1,5})?", host.lower())
    return None if match is None else (match[1] or match[2]).removesuffix(".")
