"""What a token sent is taken back: before it landed, after it landed, and while its file waits."""

from collections.abc import Iterator
from typing import Any

import pytest

from tasks import stores
from tasks.contracts import CollectResult, SnapshotRequest, StepContext, TakenBack
from tasks.data.snapshot import snapshot
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.services.conftest import Model, Platform, new_model
from tests.services.test_collect import landed, landing, read, run

TOKENS = {"shop": "a-token-of-the-shop", "bank": "a-token-of-the-bank"}
