"""Charset labels of mail (RFC 2045 §2.2, RFC 2978) as Python codecs, and decoding that never fails.

Only what is listed is ever used: Python's registry also holds transformations that are no charsets. Each
codec is loaded with this module, so that a closed unit opens no file later. Where a label promises less than
mail with it really holds, the larger set stands in its place, as in all mail programs (WHATWG Encoding §4.2).
"""

import codecs

_NAMES: dict[str, str] = {
    "utf_8": "utf8 unicode11utf8 unicode20utf8 xunicode20utf8",
    "utf_7": "utf7 unicode11utf7 xunicode20utf7",
    "utf_16": "utf16 iso10646ucs2 ucs2 unicode",
    "utf_16_le": "utf16le",
    "utf_16_be": "utf16be",
    "utf_32": "utf32",
    "cp1252": "windows1252 cp1252 xcp1252 iso88591 latin1 l1 isoir100 ansi cp819 ibm819",
    "cp1250": "windows1250 cp1250 xcp1250",
    "cp1251": "windows1251 cp1251 xcp1251",
    "cp1253": "windows1253 cp1253 xcp1253",
    "cp1254": "windows1254 cp1254 xcp1254 iso88599 latin5 l5",
    "cp1255": "windows1255 cp1255 xcp1255",
    "cp1256": "windows1256 cp1256 xcp1256",
    "cp1257": "windows1257 cp1257 xcp1257",
    "cp1258": "windows1258 cp1258 xcp1258",
    "cp874": "windows874 tis620 iso885911 dos874 cp874",
    "iso8859_2": "iso88592 latin2 l2",
    "iso8859_3": "iso88593 latin3 l3",
    "iso8859_4": "iso88594 latin4 l4",
    "iso8859_5": "iso88595 cyrillic",
    "iso8859_6": "iso88596 iso88596i iso88596e arabic",
    "iso8859_7": "iso88597 greek greek8",
    "iso8859_8": "iso88598 iso88598i iso88598e hebrew logical visual",
    "iso8859_10": "iso885910 latin6 l6",
    "iso8859_13": "iso885913",
    "iso8859_14": "iso885914",
    "iso8859_15": "iso885915 latin9 l9",
    "iso8859_16": "iso885916",
    "koi8_r": "koi8r koi8 koi",
    "koi8_u": "koi8u koi8ru",
    "koi8_t": "koi8t",
    "kz1048": "kz1048 strk10482002 rk1048",
    "ptcp154": "ptcp154 csptcp154 pt154 cp154",
    "mac_roman": "macintosh mac xmacroman",
    "mac_cyrillic": "xmaccyrillic xmacukrainian maccyrillic",
    "mac_greek": "xmacgreek",
    "mac_turkish": "xmacturkish",
    "mac_latin2": "xmacce xmaclatin2",
    "cp437": "ibm437 cp437",
    "cp737": "ibm737 cp737",
    "cp775": "ibm775 cp775",
    "cp850": "ibm850 cp850",
    "cp852": "ibm852 cp852",
    "cp855": "ibm855 cp855",
    "cp857": "ibm857 cp857",
    "cp858": "ibm858 ibm00858 cp858",
    "cp860": "ibm860 cp860",
    "cp861": "ibm861 cp861",
    "cp862": "ibm862 dos862 cp862",
    "cp863": "ibm863 cp863",
    "cp864": "ibm864 cp864",
    "cp865": "ibm865 cp865",
    "cp866": "ibm866 cp866",
    "cp869": "ibm869 cp869",
    "gb18030": "gb18030 gbk xgbk gb2312 gb231280 csgb2312 chinese euccn cp936 windows936 ms936",
    "hz": "hz hzgb2312",
    "big5hkscs": "big5 big5hkscs cnbig5 xxbig5 csbig5 cp950 windows950",
    "cp932": "shiftjis sjis xsjis mskanji windows31j cp932 ms932",
    "euc_jp": "eucjp xeucjp",
    "iso2022_jp_2": "iso2022jp iso2022jp1 iso2022jp2 csiso2022jp",
    "iso2022_jp_3": "iso2022jp3",
    "cp949": "euckr ksc56011987 ksc5601 ksc56011989 korean windows949 cp949 uhc xwindows949",
    "iso2022_kr": "iso2022kr csiso2022kr",
    "johab": "johab cp1361",
    "ascii": "usascii ascii us ansix341968 iso646us 646",
}
_CODECS = {label: codecs.lookup(codec) for codec, labels in _NAMES.items() for label in labels.split()}
_MAX_LABEL_LENGTH = 64  # no label is longer; what is comes from nonsense


def is_known(charset: str) -> bool:
    """Whether the label names a charset that can be decoded."""
    return _key(charset) in _CODECS


def decode(data: bytes, charset: str) -> str:
    """Decode octets; what does not fit becomes U+FFFD. What is said to be ASCII and is not, is guessed."""
    codec = _CODECS.get(_key(charset))
    if codec is None or (codec.name == "ascii" and not data.isascii()):
        return guess(data)
    if codec.name == "cp1252":
        return _windows_1252(data)
    text, _ = codec.decode(data, "replace")
    return text


def guess(data: bytes) -> str:
    """Decode octets that nothing is known of: UTF-8 when they are, else Windows-1252."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _windows_1252(data)


def _windows_1252(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # five octets are not assigned: all are read as Latin-1 then
        return data.decode("latin-1")


def _key(charset: str) -> str:
    return "".join(filter(str.isalnum, charset[:_MAX_LABEL_LENGTH])).lower()
