"""Artifacts in S3 under `<app>/<commit>/<sha256>.tar.gz`: what a commit was built to, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from include.errors import RefusedError, RetryableError

SUFFIX = ".tar.gz"
FINAL = {"NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}


def bucket_name(account: str, region: str) -> str:
    return f"redstart-artifacts-{account}-{region}"


class _MissingError(Exception):
    """There is no such object."""


@dataclass(frozen=True)
class Artifact:
    """A stored build; `size` is bytes."""

    bucket: str
    key: str
    sha256: str
    size: int


class ArtifactStore:
    """One bucket, through a boto3 S3 client."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self.bucket = client, bucket

    def find(self, app: str, commit: str) -> Artifact | None:
        """The first build stored for the commit, or None. A later, differing build never replaces it."""
        with self._said(f"list {app}/{commit}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{app}/{commit}/"
            )
            rows = [row for page in pages for row in page.get("Contents", ()) if row["Key"].endswith(SUFFIX)]
        if not rows:
            return None
        row = min(rows, key=lambda row: (row["LastModified"], row["Key"]))
        digest = row["Key"].rsplit("/", 1)[1].removesuffix(SUFFIX)
        return Artifact(self.bucket, row["Key"], digest, int(row["Size"]))

    def put(self, app: str, commit: str, path: Path, sha256: str) -> Artifact:
        """Store the file; the same content twice is one object."""
        key = f"{app}/{commit}/{sha256}{SUFFIX}"
        extra = {"Metadata": {"app": app, "commit": commit, "sha256": sha256}}
        with self._said(f"put {key}"):
            self._client.upload_file(str(path), self.bucket, key, ExtraArgs=extra)
        return Artifact(self.bucket, key, sha256, path.stat().st_size)

    def read(self, key: str) -> bytes | None:
        """The object's content; None when there is none."""
        try:
            with self._said(f"get {key}"):
                return bytes(self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except _MissingError:
            return None

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""
        with self._said(f"delete {key}"):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def get_url(self, key: str, *, seconds: int = 3600) -> str:
        """A presigned URL to read `key`."""
        return self._url("get_object", key, seconds)

    def put_url(self, key: str, *, seconds: int = 3600) -> str:
        """A presigned URL to write `key`."""
        return self._url("put_object", key, seconds)

    def _url(self, verb: str, key: str, seconds: int) -> str:
        arguments = {"Bucket": self.bucket, "Key": key}
        return str(self._client.generate_presigned_url(verb, Params=arguments, ExpiresIn=seconds))

    @contextmanager
    def _said(self, what: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            reason = f"S3 {what} in {self.bucket}: {error}"
            code = error.response.get("Error", {}).get("Code")
            if code == "NoSuchKey":
                raise _MissingError(reason) from error
            if code in FINAL:
                raise RefusedError(reason) from error
            raise RetryableError(reason) from error
        except BotoCoreError as error:
            raise RetryableError(f"S3 {what} in {self.bucket}: {error}") from error
