"""What every table of `<app>.toml` is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,30}$")]
Words = Annotated[tuple[str, ...], Field(min_length=1)]
Seconds = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A table of the file: closed and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
