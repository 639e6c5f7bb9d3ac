"""The suites are not test files themselves, so pytest is told to explain their assertions."""

import pytest

pytest.register_assert_rewrite("understudy.supervisor.kit.contract")
