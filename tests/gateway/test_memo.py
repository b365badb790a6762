"""What was read before is remembered, within limits."""

from proxy.gateway.memo import Memo


def test_a_full_memo_forgets_everything_and_begins_again() -> None:
    memo: Memo[bytes, int] = Memo(entries=3, longest=9)
    for number in range(3):
        memo.put(b"%d" % number, number)
    assert memo.known == {b"0": 0, b"1": 1, b"2": 2}
    memo.put(b"3", 3)
    assert memo.known == {b"3": 3}


def test_a_key_may_be_so_long_and_no_longer() -> None:
    memo: Memo[bytes, int] = Memo(entries=3, longest=3)
    memo.put(b"abc", 1)
    memo.put(b"abcd", 2)
    assert memo.known == {b"abc": 1}


def test_what_is_put_once_is_not_stored_where_only_what_repeats_is_worth_it() -> None:
    memo: Memo[bytes, int] = Memo(entries=4, longest=10, twice=True)
    memo.put(b"often", 1)
    assert memo.known.get(b"often") is None
    memo.put(b"often", 1)
    for number in range(100):
        memo.put(b"%d" % number, number)
    assert memo.known == {b"often": 1}
