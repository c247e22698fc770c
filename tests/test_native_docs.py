"""The page of the natives is what they say of themselves now."""

from tools import native_docs


def test_it_is_up_to_date() -> None:
    assert native_docs.main(["--check"]) == 0
