"""What the tests of evaluation share."""

from pathlib import Path

import pytest
from laboratory_support import Laboratory


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    """An empty folder to put slides in."""
    return Laboratory(tmp_path)
