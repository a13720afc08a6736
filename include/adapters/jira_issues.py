"""Issues in a Jira, Cloud or Data Center, by the `jira` library; bounded in seconds whatever Jira does.

The library's own retries are off: it would wait two minutes for a Jira that is away. API version 2 serves both
deployments, with texts in wiki notation.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from include.changes import IssueText
from include.errors import ConfigError, RedstartError, RefusedError, RetryableError

if TYPE_CHECKING:
    from jira import JIRA

CALL_SECONDS = (2, 10)
LIMIT_SECONDS = 25.0
MOST = 300
LATER = "; the next run writes the issue."
PROJECT = re.compile(r"^[A-Z][A-Z0-9_]{0,79}$")
T = TypeVar("T")


@dataclass(frozen=True)
class JiraAccess:
    """Where and as whom. With `login` (Cloud: the mail address) `secret` is its API token or password, sent as basic
    authentication; without, it is a personal access token (Data Center)."""

    url: str
    login: str
    secret: str = field(repr=False)
    project: str
    issue_type: str = "Task"

    def __post_init__(self) -> None:
        source = "the Jira connection"
        if not re.match(r"^https?://[^/@\s]+(/\S*)?$", self.url):
            raise ConfigError("must be http(s)://host[:port][/path]", source=source, key="host", value=self.url)
        if not PROJECT.match(self.project):
            raise ConfigError("must be a project's key", source=source, key="project", value=self.project)


@dataclass(frozen=True)
class Ticket:
    """An issue, and what was done with it."""

    key: str
    url: str
    deed: str

    def __str__(self) -> str:
        return f"{self.key} {self.deed} ({self.url})"


class JiraIssues:
    """Issues of one project, found again by a label. Each verb may be asked for again: it looks first.

    RetryableError where Jira is away, late, or talks nonsense; RefusedError where it says no. Both within
    `limit_seconds`.
    """

    def __init__(
        self,
        access: JiraAccess,
        *,
        call_seconds: tuple[float, float] = CALL_SECONDS,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        self.access = access
        self._call_seconds, self._limit_seconds = call_seconds, limit_seconds

    def open_or_update(self, text: IssueText) -> Ticket:
        """The open issue of the text's label, made if there is none, brought up to date if it says something else."""
        return self._bounded(lambda client: self._open_or_update(client, text))

    def comment_if_open(self, label: str, comment: str) -> Ticket | None:
        """Add the comment to the open issue of the label, where there is one and it is not its last comment already."""
        return self._bounded(lambda client: self._comment_if_open(client, label, comment))

    def _open_or_update(self, client: JIRA, text: IssueText) -> Ticket:
        found = self._find(client, text.label, "description")
        if found is None:
            made = client.create_issue(fields=self._fields(text), prefetch=False)
            return self._ticket(made.key, "opened")
        if _same(found["fields"].get("description"), text.description):
            return self._ticket(found["key"], "is open and says the same")
        # One call, so that a retry finds both or neither.
        change = {"fields": {"description": text.description}, "update": {"comment": [{"add": {"body": text.comment}}]}}
        _put(client, found["key"], change)
        return self._ticket(found["key"], "brought up to date")

    def _comment_if_open(self, client: JIRA, label: str, comment: str) -> Ticket | None:
        found = self._find(client, label, "comment")
        if found is None:
            return None
        comments = (found["fields"].get("comment") or {}).get("comments") or []
        if any(_same(one.get("body"), comment) for one in comments):
            return self._ticket(found["key"], "has the comment")
        client.add_comment(found["key"], comment)
        return self._ticket(found["key"], "commented")

    def _find(self, client: JIRA, label: str, wanted: str) -> dict[str, Any] | None:
        if not re.match(r"^[A-Za-z0-9._-]+$", label):
            raise ConfigError("may hold letters, digits, `.`, `_` and `-` only", source="label", value=label)
        open_ones = f'project = "{self.access.project}" AND labels = "{label}" AND statusCategory != Done'
        answer = client.search_issues(
            f"{open_ones} ORDER BY created ASC", maxResults=1, fields=[wanted], json_result=True
        )
        issues = answer["issues"]
        if not issues:
            return None
        first: dict[str, Any] = issues[0]
        if not re.match(r"^[A-Z][A-Z0-9_]*-[1-9][0-9]*$", first["key"]) or not isinstance(first["fields"], dict):
            raise ValueError(f"no issue: {first!r}")
        return first

    def _fields(self, text: IssueText) -> dict[str, Any]:
        return {
            "project": {"key": self.access.project},
            "issuetype": {"name": self.access.issue_type},
            "summary": text.summary,
            "description": text.description,
            "labels": [text.label],
        }

    def _ticket(self, key: str, deed: str) -> Ticket:
        return Ticket(key, f"{self.access.url.rstrip('/')}/browse/{key}", deed)

    def _bounded(self, work: Callable[[JIRA], T]) -> T:
        """`work` with a client, in a thread that is left alone at the limit: a time-out of a call is one of silence
        only, and a server that drips keeps it for ever."""
        ends: list[T | RedstartError] = []

        def run() -> None:
            try:
                ends.append(work(self._connect()))
            except RedstartError as error:
                ends.append(error)
            except Exception as error:  # the adapter's edge: whatever Jira sent, a delivery goes on
                ends.append(self._explain(error))

        thread = threading.Thread(target=run, name="jira", daemon=True)
        thread.start()
        thread.join(self._limit_seconds)
        if not ends:
            raise RetryableError(
                f"Jira at {self.access.url} took longer than {self._limit_seconds:g} s: look whether it is well{LATER}"
            )
        if isinstance(ends[0], RedstartError):
            raise ends[0]
        return ends[0]

    def _connect(self) -> JIRA:
        from jira import JIRA

        access = self.access
        by = {"basic_auth": (access.login, access.secret)} if access.login else {"token_auth": access.secret}
        options = {"check_update": False, "rest_api_version": "2"}
        return JIRA(access.url, options=options, timeout=self._call_seconds, max_retries=0, logging=False, **by)

    def _explain(self, error: Exception) -> RedstartError:
        from jira import JIRAError
        from requests import ConnectionError as Unreachable
        from requests import Timeout

        where, seconds = f"Jira at {self.access.url}", self._call_seconds[1]
        if isinstance(error, Timeout):
            return RetryableError(f"{where} gave no answer within {seconds:g} s: look whether it is well{LATER}")
        if isinstance(error, Unreachable):
            return RetryableError(
                f"{where} cannot be reached: look at the Jira connection's host and the way there{LATER}"
            )
        if isinstance(error, JIRAError) and error.status_code:
            return self._explain_status(where, int(error.status_code), _shown(error.text))
        return RetryableError(
            f"{where} gave an answer that is none of Jira's: look at the Jira connection's host, and at what stands "
            f"before it ({type(error).__name__}: {_shown(error)})."
        )

    def _explain_status(self, where: str, status: int, said: str) -> RedstartError:
        account, project = self.access.login or "the token's owner", self.access.project
        if status == 401:
            return RefusedError(f"{where} does not know {account} (401): renew the token in the Jira connection.")
        if status == 403:
            return RefusedError(
                f"{where} forbids it (403): let {account} browse, create and edit issues of {project}. It said: {said}"
            )
        if status in (400, 404):
            return RefusedError(
                f"{where} does not take the issue ({status}): mend `project` or `issue_type` in the Jira connection. "
                f"It said: {said}"
            )
        if status == 429:
            return RetryableError(f"{where} has had too many calls (429){LATER}")
        return RetryableError(f"{where} failed ({status}): look whether it is well{LATER} It said: {said}")


def _put(client: JIRA, key: str, change: dict[str, Any]) -> None:
    """One PUT; the library's `Issue.update` reads the issue before and after it."""
    import json

    client._session.put(client._get_url(f"issue/{key}"), data=json.dumps(change))


def _same(kept: Any, text: str) -> bool:
    """Whether Jira keeps this text; it changes line ends and spaces."""
    return isinstance(kept, str) and kept.split() == text.split()


def _shown(text: object) -> str:
    clean = " ".join(re.sub(r"<[^>]*>", " ", str(text)).split())
    return "".join(letter for letter in clean if letter.isprintable())[:MOST] or "nothing"
