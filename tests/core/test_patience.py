"""A question may be given less time than the database would give it, never more."""

from tinycrm_core.patience import at_most, within


def test_patience_only_shortens() -> None:
    assert at_most(5) == 5
    with within(0.2):
        assert at_most(5) == 0.2
        with within(3):
            assert at_most(5) == 0.2
        assert at_most(0.1) == 0.1
    assert at_most(5) == 5
