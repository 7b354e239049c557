"""Lines that tests share, and text as the terminal shows it."""

URL_EXAMPLES = [
    "https://www.example.org/news/2024/05/a-long-title-17.html?utm_source=feed&id=42#top",
    "http://user@api.example.co.uk:8080/v2/items/3f2504e0-4f89-11d3-9a0c-0305e82c3301/edit?b=2&a=1&a=3",
    "cdn7.d3b07384d113edec49eaa6238ad5ff00.example.net/aHR0cHM6Ly9leGFtcGxlLm9yZy8x/x.js",
    "http://192.0.2.17/../../etc/passwd%00?cmd=%3Cscript%3E",
    "ftp://[2001:db8::1]:2121/pub/",
    "https://s.example.com/weibo?q=%E5%8C%97%E4%BA%AC&t=5QqWz8rT3kLm",
    "GET /index.php?option=com_x HTTP/1.1",
    "xn--bcher-kva.example",
]
"""Lines whose features a page of the documentation lists."""


def refanged(shown: str) -> str:
    """Return what a URL was before `defang`."""
    return shown.replace("[://]", "://").replace("[.]", ".")
