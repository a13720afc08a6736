"""A Jira on 127.0.0.1 as the `jira` library meets it: Cloud's shape or Data Center's, strict, and faulty on demand."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

LOGIN, TOKEN = "cd@example.org", "s3cret-token"
PROJECT, TYPES = "API", {"Task", "Bug"}
JQL = re.compile(r'project = "(\w+)" AND labels = "([\w.-]+)" AND statusCategory != Done ORDER BY created ASC')

Deployment = Literal["Cloud", "Server"]


class Refused(Exception):
    """An answer that is an error, with Jira's body for it."""

    def __init__(self, status: int, *messages: str, **errors: str) -> None:
        super().__init__(status)
        self.status, self.body = status, {"errorMessages": list(messages), "errors": errors}


@dataclass
class Fault:
    """What happens instead of an answer: a status with a body, a hang, a drip of bytes, a closed connection.

    On paths that contain `path`, `count` times.
    """

    kind: Literal["status", "hang", "drip", "close", "garbage", "after"]
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    path: str = ""
    count: int = 1_000_000


@dataclass
class JiraServer:
    """`issues` by key, as they are kept; `calls` are method and path of every request."""

    deployment: Deployment
    url: str = ""
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fault: Fault | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def authorization(self) -> str:
        basic = base64.b64encode(f"{LOGIN}:{TOKEN}".encode()).decode()
        return f"Basic {basic}" if self.deployment == "Cloud" else f"Bearer {TOKEN}"

    def close(self, key: str) -> None:
        """A person does: the issue is done."""
        self.issues[key]["status"] = "Done"

    def comments(self, key: str) -> list[str]:
        return [str(one["body"]) for one in self.issues[key]["comments"]]

    def take_fault(self, path: str) -> Fault | None:
        fault = self.fault
        if fault is None or fault.path not in path or fault.count <= 0:
            return None
        fault.count -= 1
        return fault

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON; Refused where Jira would refuse."""
        search = "search/jql" if self.deployment == "Cloud" else "search"
        match method, path.split("/"):
            case "GET", ["serverInfo"]:
                return 200, {"versionNumbers": [9, 12, 0], "deploymentType": self.deployment, "baseUrl": self.url}
            case "GET", ["field"]:
                return 200, [{"id": "description", "name": "Description", "clauseNames": ["description"]}]
            case (("GET" | "POST"), ["search", *_]) if path == search:
                return 200, self._search(query if method == "GET" else body)
            case _, ["search"]:
                raise Refused(410, "The requested API has been removed.")
            case "POST", ["issue"]:
                return 201, self._create(body["fields"])
            case "PUT", ["issue", key]:
                return 204, self._edit(key, body)
            case "POST", ["issue", key, "comment"]:
                return 201, self._comment(key, body)
        raise Refused(404, "null for uri")

    def _search(self, query: dict[str, Any]) -> dict[str, Any]:
        found = JQL.fullmatch(query["jql"])
        if found is None or found[1] != PROJECT:
            raise Refused(400, f"The value '{query['jql']}' cannot be searched for.")
        issues = [
            {"id": key, "key": key, "self": f"{self.url}/rest/api/2/issue/{key}", "fields": self._shown(one)}
            for key, one in self.issues.items()
            if found[2] in one["labels"] and one["status"] != "Done"
        ]
        if self.deployment == "Cloud":
            return {"issues": issues, "isLast": True}
        return {"startAt": 0, "maxResults": 50, "total": len(issues), "issues": issues}

    def _shown(self, issue: dict[str, Any]) -> dict[str, Any]:
        return {**issue, "comment": {"comments": issue["comments"]}}

    def _create(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["project"].get("key") != PROJECT:
            raise Refused(400, project="valid project is required")
        if fields["issuetype"].get("name") not in TYPES:
            raise Refused(400, issuetype="The issue type selected is invalid.")
        if not isinstance(fields["description"], str):
            raise Refused(400, description="Operation value must be a string")
        if len(fields["summary"]) > 255 or not fields["summary"].isprintable():
            raise Refused(400, summary="The summary is invalid because it contains newline characters or is too long.")
        if any(" " in label or len(label) > 255 for label in fields["labels"]):
            raise Refused(400, labels="The label contains spaces which is invalid.")
        key = f"{PROJECT}-{len(self.issues) + 1}"
        kept = {**fields, "description": _kept(fields["description"]), "comments": [], "status": "To Do"}
        self.issues[key] = kept
        return {"id": key, "key": key, "self": f"{self.url}/rest/api/2/issue/{key}"}

    def _edit(self, key: str, body: dict[str, Any]) -> None:
        self._known(key)["description"] = _kept(body["fields"]["description"])
        for one in body["update"]["comment"]:
            self._comment(key, one["add"])

    def _comment(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        comment = {"id": str(len(self._known(key)["comments"])), "body": _kept(body["body"])}
        self.issues[key]["comments"].append(comment)
        return comment

    def _known(self, key: str) -> dict[str, Any]:
        if key not in self.issues:
            raise Refused(404, "Issue does not exist or you do not have permission to see it.")
        return self.issues[key]


def _kept(text: str) -> str:
    """Jira keeps its own line ends, and no space at the end."""
    return text.rstrip().replace("\n", "\r\n")


class Handler(BaseHTTPRequestHandler):
    jira: JiraServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def serve(self) -> None:
        parts = urlsplit(self.path)
        self.jira.calls.append(f"{self.command} {parts.path}")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        fault = self.jira.take_fault(parts.path)
        if fault is not None and fault.kind != "after":
            return self.fail(fault)
        status, answer = self.answer(parts.path, {key: one[0] for key, one in parse_qs(parts.query).items()}, body)
        if fault is not None:  # done, but the answer is lost
            return self.fail(Fault("close"))
        return self.send(status, "" if answer is None else json.dumps(answer))

    def answer(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        try:
            if self.headers.get("Authorization") != self.jira.authorization:
                raise Refused(401, "Client must be authenticated to access this resource.")
            if not path.startswith("/rest/api/2/"):
                raise Refused(404, "null for uri")
            return self.jira.answer(self.command, path.removeprefix("/rest/api/2/"), query, body)
        except Refused as refused:
            return refused.status, refused.body

    def fail(self, fault: Fault) -> None:
        if fault.kind == "hang":
            self.jira.ended.wait(30)
        if fault.kind == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not self.jira.ended.wait(0.05):
                self.wfile.write(b" ")
        if fault.kind in {"close", "hang", "drip"}:
            self.close_connection = True
            return None
        return self.send(fault.status, fault.body, fault.headers)

    def send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        raw = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = serve


@contextmanager
def jira_server(deployment: Deployment = "Cloud") -> Iterator[JiraServer]:
    """A server on a free port of 127.0.0.1, until the block ends."""
    jira = JiraServer(deployment)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"jira": jira}))
    server.daemon_threads = True
    jira.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield jira
    finally:
        jira.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def wait_for_threads(name: str, seconds: float = 10) -> None:
    """Until no thread of that name lives."""
    deadline = time.monotonic() + seconds
    while any(one.name == name for one in threading.enumerate()):
        assert time.monotonic() < deadline, f"a thread {name} is left"
        time.sleep(0.02)
