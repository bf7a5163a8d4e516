"""Pictures from web addresses, for those who allow it.

An address can be chosen by somebody else, to reach what only this machine can reach. So only
https is taken, and a host only if all its addresses are public; the connection then goes to the
address that was looked at, and each redirect is looked at anew. No proxy is used.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from florence2.errors import ImageError

MAX_BYTES = 64 << 20
CHUNK = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
_AGENT = "florence2 (picture)"


def public_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host.

    Raises:
        ImageError: it has none, or one that is not public: of this machine, its network, or of
            nothing that a picture comes from.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ImageError(f"host {host!r} is not found ({error})") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_public(address):
            raise ImageError(
                f"host {host!r} has the address {address}, which is not public; download the"
                " picture yourself and give its path"
            )
    return addresses


def is_public(address: str) -> bool:
    """Tell an address that anybody can reach from those of a machine or a private network.

    >>> is_public("93.184.215.14"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    given = ipaddress.ip_address(address.partition("%")[0])
    inside = [given]
    if isinstance(given, ipaddress.IPv6Address):
        # Addresses of the old kind inside those of the new: mapped, 6to4, Teredo, NAT64.
        inside += [each for each in (given.ipv4_mapped, given.sixtofour) if each]
        inside += given.teredo or ()
        if given in ipaddress.ip_network("64:ff9b::/96"):
            inside.append(ipaddress.IPv4Address(int(given) & 0xFFFFFFFF))
    mapped = isinstance(given, ipaddress.IPv6Address) and given.ipv4_mapped is not None
    return all(
        each.is_global and not each.is_multicast and not each.is_reserved
        for each in (inside[1:] if mapped else inside)
    )


def connect_to(host: str, port: int, address: str, timeout: float) -> http.client.HTTPConnection:
    """Connect to an address of a host, whose certificate must be that of the host."""
    context = ssl.create_default_context()
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    plain = socket.create_connection((address, port), timeout)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
    return connection


@dataclass(frozen=True)
class Downloads:
    """Fetches pictures, within limits.

    Attributes:
        max_bytes: of one picture.
        max_seconds: for one picture, redirects included.
        max_redirects: to follow.
        addresses: finds the addresses of a host and refuses those not to be reached.
        connect: to one of them.
    """

    max_bytes: int = MAX_BYTES
    max_seconds: float = 30.0
    max_redirects: int = 5
    addresses: Callable[[str, int], Sequence[str]] = public_addresses
    connect: Callable[[str, int, str, float], http.client.HTTPConnection] = connect_to

    def fetch(self, url: str) -> bytes:
        """Return the bytes at an address.

        Raises:
            ImageError: it is not https, not public, not there, too large or too slow.
        """
        deadline = time.monotonic() + self.max_seconds
        place = url
        try:
            for _ in range(self.max_redirects + 1):
                answer = self._ask(place, deadline)
                if isinstance(answer, bytes):
                    return answer
                place = urljoin(place, answer)
        except ImageError as error:
            raise ImageError(f"image {url!r} cannot be downloaded: {error}") from error
        except TimeoutError as error:
            raise self._too_slow(url) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise ImageError(
                f"image {url!r} cannot be downloaded ({reason}); check the address"
            ) from error
        raise ImageError(
            f"image {url!r} cannot be downloaded: it leads on more than {self.max_redirects} times"
        )

    def _too_slow(self, url: str) -> ImageError:
        return ImageError(
            f"image {url!r} did not come within {self.max_seconds:g} seconds; download it yourself"
            " and give its path"
        )

    def _ask(self, url: str, deadline: float) -> bytes | str:
        """Return the picture, or where to look for it."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ImageError(f"{url!r} is no https address; give one")
        if parts.username or parts.password:
            raise ImageError("addresses with a name or password are not taken; leave them out")
        port = parts.port or 443
        addresses = self.addresses(parts.hostname, port)
        connection = self._connected(parts.hostname, port, addresses, deadline)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": _AGENT, "Accept": "image/*"})
            answer = connection.getresponse()
            if answer.status in _REDIRECTS and (place := answer.getheader("Location")):
                return place
            if answer.status != 200:
                raise ImageError(f"the server answers {answer.status} {answer.reason}")
            return self._body(answer, connection, deadline)
        finally:
            connection.close()

    def _connected(
        self, host: str, port: int, addresses: Sequence[str], deadline: float
    ) -> http.client.HTTPConnection:
        """Connect to the first address that answers."""
        for address in addresses:
            try:
                return self.connect(host, port, address, _left(deadline))
            except TimeoutError:
                raise
            except OSError as error:
                failed = error
        raise failed

    def _body(
        self,
        answer: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        deadline: float,
    ) -> bytes:
        size = answer.length
        data = bytearray()
        while size is None or size <= self.max_bytes:
            if connection.sock is not None:
                connection.sock.settimeout(_left(deadline))
            piece = answer.read1(CHUNK)
            if not piece:
                return bytes(data)
            data += piece
            size = max(size or 0, len(data))
        raise ImageError(f"it has more than {self.max_bytes:,} bytes, the most that is taken")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
