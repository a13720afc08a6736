"""The real `jira` library against a Jira of both shapes: issues found again, faults ended in one sentence, in time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from include.adapters.jira_issues import JiraAccess, JiraIssues
from include.changes import IssueText, MergeConflict, describe_merged, issue_of
from include.errors import ConfigError, RefusedError, RetryableError
from tests.support.jira_server import (
    LOGIN,
    PROJECT,
    TOKEN,
    Deployment,
    Fault,
    JiraServer,
    jira_server,
    wait_for_threads,
)

CONFLICT = MergeConflict("api", "prod", "release", "a" * 40, "b" * 40, ("README", "src/a b.py"), "run 1 of api_prod")


@pytest.fixture(params=["Cloud", "Server"])
def server(request: pytest.FixtureRequest) -> Iterator[JiraServer]:
    deployment: Deployment = request.param
    with jira_server(deployment) as jira:
        yield jira
    wait_for_threads("jira")


def issues(server: JiraServer, **change: str) -> JiraIssues:
    login = LOGIN if server.deployment == "Cloud" else ""
    access = {"url": server.url, "login": login, "secret": TOKEN, "project": PROJECT, **change}
    return JiraIssues(JiraAccess(**access), call_seconds=(0.3, 0.5), limit_seconds=2)


def text_of(target_commit: str = "b" * 40) -> IssueText:
    return issue_of(MergeConflict("api", "prod", "release", "a" * 40, target_commit, CONFLICT.files, CONFLICT.run))


def test_conflict_opens_one_issue_however_often_it_is_told(server: JiraServer) -> None:
    first = issues(server).open_or_update(text_of())
    again = issues(server).open_or_update(text_of())
    assert (first.key, first.deed, again.key, again.deed) == ("API-1", "opened", "API-1", "is open and says the same")
    assert first.url == f"{server.url}/browse/API-1"
    kept = server.issues["API-1"]
    assert kept["labels"] == ["redstart-conflict-api-prod-release"]
    assert kept["summary"] == "api: prod does not merge into release"
    assert "src/a b.py" in kept["description"]
    assert server.comments("API-1") == []


def test_other_conflict_between_the_branches_brings_the_open_issue_up_to_date(server: JiraServer) -> None:
    issues(server).open_or_update(text_of())
    for _ in range(2):
        ticket = issues(server).open_or_update(text_of("c" * 40))
    assert ticket.key == "API-1"
    assert "release at cccccccccc" in server.issues["API-1"]["description"]
    assert len(server.comments("API-1")) == 1
    assert "Still in conflict: prod at aaaaaaaaaa, release at cccccccccc" in server.comments("API-1")[0]


def test_closed_issue_is_left_alone_and_a_new_one_opened(server: JiraServer) -> None:
    issues(server).open_or_update(text_of())
    server.close("API-1")
    assert issues(server).open_or_update(text_of()).key == "API-2"


def test_later_merge_is_a_comment_once_and_only_where_an_issue_is_open(server: JiraServer) -> None:
    label, comment = text_of().label, describe_merged("prod", "release", "d" * 40, "run 2 of api_prod")
    assert issues(server).comment_if_open(label, comment) is None
    issues(server).open_or_update(text_of())
    deeds = [issues(server).comment_if_open(label, comment) for _ in range(2)]
    assert [str(one).split(" (")[0] for one in deeds] == ["API-1 commented", "API-1 has the comment"]
    assert len(server.comments("API-1")) == 1


def test_answer_that_is_lost_after_the_deed_makes_no_second_issue(server: JiraServer) -> None:
    server.fault = Fault("after", path="/issue", count=1)
    with pytest.raises(RetryableError, match="cannot be reached"):
        issues(server).open_or_update(text_of())
    assert issues(server).open_or_update(text_of()).deed == "is open and says the same"
    server.fault = Fault("after", path="/issue/API-1", count=1)
    with pytest.raises(RetryableError):
        issues(server).open_or_update(text_of("c" * 40))
    assert issues(server).open_or_update(text_of("c" * 40)).deed == "is open and says the same"
    assert (len(server.issues), len(server.comments("API-1"))) == (1, 1)


FAULTS = {
    "hangs": (Fault("hang"), RetryableError, "gave no answer within 0.5 s: look whether it is well"),
    "hangs when it creates": (Fault("hang", path="/issue"), RetryableError, "gave no answer within 0.5 s"),
    "drips": (Fault("drip"), RetryableError, "took longer than 2 s: look whether it is well"),
    "breaks off": (Fault("close"), RetryableError, "cannot be reached: look at the Jira connection's host"),
    "500": (Fault("status", 500, "<html><h1>Oops</h1></html>"), RetryableError, r"failed \(500\).*said: Oops"),
    "500 when it creates": (Fault("status", 500, path="/issue"), RetryableError, r"failed \(500\)"),
    "502 of a proxy": (Fault("status", 502, "Bad gateway"), RetryableError, r"failed \(502\)"),
    "503 later": (Fault("status", 503, "", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), RetryableError, "503"),
    "429": (Fault("status", 429, "", {"Retry-After": "60"}), RetryableError, r"too many calls \(429\)"),
    "401": (Fault("status", 401), RefusedError, r"\(401\): renew the token in the Jira connection"),
    "403": (Fault("status", 403, "CAPTCHA"), RefusedError, r"forbids it \(403\): let .* create and edit issues of API"),
    "404": (Fault("status", 404), RefusedError, r"\(404\): mend `project` or `issue_type`"),
    "a login page": (Fault("status", 200, "<html>Log in</html>"), RetryableError, "none of Jira's: .*stands before it"),
    "broken JSON": (Fault("status", 200, '{"issues": ['), RetryableError, "none of Jira's"),
    "other JSON": (Fault("status", 200, "[]"), RetryableError, "none of Jira's"),
    "a search of nothing": (Fault("status", 200, "{}", path="/search"), RetryableError, "none of Jira's"),
    "a key that is none": (
        Fault("status", 200, '{"issues": [{"key": "../../x", "fields": {}}], "total": 1}', path="/search"),
        RetryableError,
        "none of Jira's",
    ),
    "no key": (Fault("status", 201, "{}", path="/issue"), RetryableError, r"Jira at"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_one_sentence_within_seconds(server: JiraServer, name: str) -> None:
    fault, kind, sentence = FAULTS[name]
    server.fault = Fault(fault.kind, fault.status, fault.body, fault.headers, fault.path)
    started = time.monotonic()
    with pytest.raises(kind, match=sentence) as caught:
        issues(server).open_or_update(text_of())
    assert time.monotonic() - started < 4
    assert str(caught.value).startswith(f"Jira at {server.url} ")
    assert TOKEN not in str(caught.value) and "\n" not in str(caught.value)
    server.fault = None
    assert issues(server).open_or_update(text_of()).deed == "opened"


def test_jira_that_is_not_there_is_reported_at_once(server: JiraServer) -> None:
    with pytest.raises(RetryableError, match="cannot be reached"):
        issues(server, url="http://127.0.0.1:9").open_or_update(text_of())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"secret": "old"}, r"does not know .* \(401\): renew the token"),
        ({"issue_type": "Epic!"}, r"\(400\): mend `project` or `issue_type`.*The issue type selected is invalid"),
        ({"project": "NOPE"}, r"\(400\): mend `project`"),
    ],
)
def test_connection_that_does_not_fit_is_refused_with_jiras_words(
    server: JiraServer, change: dict[str, str], sentence: str
) -> None:
    with pytest.raises(RefusedError, match=sentence):
        issues(server, **change).open_or_update(text_of())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("url", "jira.example.org"),
        ("url", "http://me:pw@x"),
        ("url", "file:///x"),
        ("project", ""),
        ("project", 'A" OR 1'),
    ],
)
def test_connection_that_cannot_be_used_is_named(key: str, value: str) -> None:
    access = {"url": "http://127.0.0.1", "login": "", "secret": "", "project": "API", key: value}
    with pytest.raises(ConfigError, match="the Jira connection: "):
        JiraAccess(**access)


def test_label_that_could_change_the_search_is_not_searched_for(server: JiraServer) -> None:
    with pytest.raises(ConfigError, match="label"):
        issues(server).comment_if_open('x" OR project = "SECRET', "text")
    assert not any("search" in call for call in server.calls)


def test_secret_is_not_in_what_a_log_may_show() -> None:
    assert "pw" not in repr(JiraAccess("http://127.0.0.1", "", "pw", "API"))


def test_calls_are_few(server: JiraServer) -> None:
    issues(server).open_or_update(text_of())
    assert len(server.calls) <= 4
    server.calls.clear()
    issues(server).open_or_update(text_of("c" * 40))
    assert len(server.calls) <= 4
