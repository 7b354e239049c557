"""Hosts files and lists of ad blockers: hosts, and nothing of this machine."""

from pathlib import Path

from novelty_dask.readers import hosts
from novelty_dask.readers.hosts import HostsReader
from tests.support.books import Books
from tests.support.fuzz import check_cuts, check_damaged, check_pieces, explode

HOSTS = b"""# Title: hosts
127.0.0.1 localhost localhost.localdomain
::1 ip6-localhost
fe80::1%lo0 localhost
0.0.0.0 0.0.0.0
0.0.0.0 a.example # why
0.0.0.0\tb.example\tc.example

#0.0.0.0 off.example
0.0.0.0
d.example 0.0.0.0
::\xe2\x82\xac e.example
"""
NAMES = {6: "a.example", 7: "b.example", 8: "c.example"}
REASONS = {0: "comment", 9: "blank", 10: "comment", 11: "malformed", 12: "malformed", 13: "malformed"}
RULES = b"""[Adblock Plus 2.0]
! Title: list
||a.example^
||b.example^$third-party
@@||c.example^
||d.example/x^
a.example##.advertisement
"""


def test_hosts_are_records() -> None:
    check_cuts(HostsReader(), HOSTS, (NAMES, REASONS, 14))


def test_rules_that_name_whole_hosts_are_records() -> None:
    rejected = {1: "comment"} | dict.fromkeys((4, 5, 6), "malformed")
    check_cuts(HostsReader(), RULES, ({2: "a.example", 3: "b.example"}, rejected, 7))


def test_pieces_hold_what_the_file_does(tmp_path: Path) -> None:
    check_pieces(HostsReader(), tmp_path / "hosts", HOSTS + RULES)


def test_damaged_files_have_an_account() -> None:
    check_damaged(HostsReader(), HOSTS + RULES)


def test_a_line_without_an_end_costs_little() -> None:
    for filling in (b"x", b" a.example"):
        books, peak_bytes = explode(HostsReader(), HOSTS + b"0.0.0.0 ", filling, 2**24, b"\n")
        assert isinstance(books, Books)
        assert books.n_lines == 15
        assert books.reasons[14] == "too-long"
        assert peak_bytes < 16 * hosts.LINE_BYTES
