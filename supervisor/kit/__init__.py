"""The test kit: what ``understudy.testing`` offers. Nothing that runs in production imports it."""
