"""The service as its clients see it, wherever it runs: `python3 -m pytest -q functional --address http://host:port`."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

TIMEOUT_SECONDS = 10


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Site:
    """The service at one address; every request has a connection of its own."""

    def __init__(self, address: str) -> None:
        self._place = urlsplit(address)

    def connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._place.scheme == "https" else http.client.HTTPConnection
        return kind(self._place.hostname or "", self._place.port, timeout=TIMEOUT_SECONDS)

    def ask(self, path: str, method: str = "GET") -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path)
            return self.read(connection)
        finally:
            connection.close()

    @staticmethod
    def read(connection: http.client.HTTPConnection) -> Answer:
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def page(self, path: str) -> Any:
        """The document at `path`, which must be there."""
        answer = self.ask(path)
        assert answer.status == 200, f"{path} answers {answer.status}: {answer.body[:200]!r}"
        return answer.document


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--address", help="where the service is: http://host:port")


@pytest.fixture(scope="session")
def site(pytestconfig: pytest.Config) -> Site:
    address = pytestconfig.getoption("--address", default=None)
    if not address:
        pytest.skip("needs --address http://host:port")
    return Site(address)
