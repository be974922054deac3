"""Strings that models and data sets may hold, and that nothing may be fooled by."""

HOSTILE = (
    "<script>alert('x')</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\"><svg onload=alert(3)>",
    "<!--", "-->", "]]>", "<![CDATA[",
    "javascript:alert(4)",
    "\u202egnp.exe\u202c", "\u2066hidden\u2069", "\u200fright",
    "\x1b[2J\x1b[31mred", "\x00\x07\x08", "a\u2028b\u2029c",
    "\ud800 lone",
    "../../../etc/passwd", "..\\..\\windows", "/etc/passwd", "C:\\x", "con", "a/b",
    "=1+1", "@SUM(A1)", "|cmd", "`rm -rf`", "$(reboot)", "{{7*7}}", "{% raw %}", "%s%n",
    "x" * 300_000,
    "\N{ZERO WIDTH SPACE}" * 50,
    "\u0301" * 500,
    "__proto__", "constructor", "toString",
    "",
    " ",
)  # fmt: skip
