"""Names of files that are programs, in all the ways in which a name can be written."""

import pytest

from ptt.protocol.mail.mime import parse_mime
from ptt.records.spam_attachments import MAX_NAMES, extension, is_dangerous, names_in, part_names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.jpg", "jpg"),
        ("photo.jpg.EXE", "exe"),
        ("setup.exe. . ", "exe"),
        ("no extension", ""),
        ("exe", ""),
        ("a.b c", ""),
        ("a.verylongextension", ""),
        (".", ""),
        ("", ""),
    ],
)
def test_the_extension_is_what_a_system_goes_by(name: str, expected: str) -> None:
    assert extension(name) == expected


@pytest.mark.parametrize("name", ["a.exe", "a.BAT", "readme.txt.scr", "love-letter.txt.vbs", "a.pif "])
def test_programs_are_dangerous(name: str) -> None:
    assert is_dangerous(name)


@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "exe.zip", "a.exe.png", "bat"])
def test_other_files_are_not(name: str) -> None:
    assert not is_dangerous(name)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (b"Content-Type: application/x; name=a.exe", ("a.exe",)),
        (b'Content-Type: application/x; name="a b.exe"', ("a b.exe",)),
        (b"Content-Disposition: attachment; filename=a.exe", ("a.exe",)),
        (b"Content-Disposition: attachment; filename*=utf-8''a%2Eexe", ("a.exe",)),
        (b'Content-Disposition: attachment; filename*0="a.e"; filename*1=xe', ("a.exe",)),
        (b'Content-Disposition: attachment; filename="=?utf-8?q?a=2Eexe?="', ("a.exe",)),
        (b"Content-Type: a/b; name=x.txt\nContent-Disposition: inline; filename=y.exe", ("y.exe", "x.txt")),
        (b"Content-Type: a/b; name=x.txt\nContent-Disposition: inline; filename=x.txt", ("x.txt",)),
        (b"Content-Type: a/b", ()),
    ],
)
def test_a_part_has_the_names_that_programs_show(fields: bytes, names: tuple[str, ...]) -> None:
    assert part_names(parse_mime(fields + b"\n\n")) == names


def test_names_are_found_where_nothing_is_taken_apart() -> None:
    buffers = [
        b'base64\r\n--b\r\nContent-Type: application/x;\r\n name="a b.exe"\r\n\r\nQUJD\r\n',
        b"\r\ncontent-disposition: attachment; filename*=utf-8''%61.scr\r\nContent-Type:\r\n\r\n",
    ]

    assert list(names_in(buffers)) == ["a b.exe", "a.scr"]


def test_not_more_names_are_read_than_a_message_may_have_parts() -> None:
    assert len(list(names_in([b"\nContent-Type: a/b; name=x" * (MAX_NAMES + 5)]))) == MAX_NAMES
