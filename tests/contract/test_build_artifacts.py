"""A commit has one artifact, whoever builds it again."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from include.adapters.artifact_store import ArtifactStore, bucket_name
from include.errors import RefusedError

BUCKET = bucket_name("123456789012", "us-east-1")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactStore]:
    from moto import mock_aws

    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield ArtifactStore(client, BUCKET)


def write(tmp_path: Path, content: bytes) -> tuple[Path, str]:
    path = tmp_path / "artifact"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def test_stored_artifact_is_found_by_commit_alone(store: ArtifactStore, tmp_path: Path) -> None:
    commit = "a" * 40
    assert store.find("api", commit) is None
    made = store.put("api", commit, *write(tmp_path, b"one"))
    assert store.find("api", commit) == made
    assert made.key == f"api/{commit}/{made.sha256}.tar.gz"
    assert store.find("api", "b" * 40) is None


def test_presigned_url_carries_no_secret_and_names_the_key(store: ArtifactStore, tmp_path: Path) -> None:
    made = store.put("api", "c" * 40, *write(tmp_path, b"one"))
    url = urllib.request.Request(store.get_url(made.key))
    assert made.key in url.full_url
    assert "AWS_SECRET" not in url.full_url
    assert store.put_url(made.key) != url.full_url


def test_missing_bucket_is_final_and_named(store: ArtifactStore) -> None:
    with pytest.raises(RefusedError, match="nowhere"):
        ArtifactStore(store._client, "nowhere").find("api", "a" * 40)


def test_object_is_read_until_it_is_deleted(store: ArtifactStore) -> None:
    key = "bakes/api/x.json"
    assert store.read(key) is None
    store._client.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    assert store.read(key) == b"{}"
    store.delete(key)
    store.delete(key)
    assert store.read(key) is None
