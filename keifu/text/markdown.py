"""The blocks of a Markdown document: which lines are text to translate, and which stay as they are.

Follows CommonMark 0.31 with GitHub's tables, footnotes, task lists and alerts, as far as it matters which characters
are text: code, HTML blocks, front matter, rules and link definitions stay; headings, paragraphs, list items, quotes
and table cells are translated.
"""

import re
from functools import partial

from keifu.text.inline import Inline, label_key, read_markdown
from keifu.text.segments import Frame

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\r?\n(?:[^\n]*\n)*?(?:\1|\.\.\.)[ \t]*(?:\r?\n|\Z)")
_DEFINITION = re.compile(r"\[(?!\^)((?:[^\[\]\\]|\\.){1,1000})\]:(?:[ \t]|$)")
_DEFINITIONS = re.compile(rf"^[ \t>]{{0,20}}{_DEFINITION.pattern}", re.MULTILINE)
_TITLE = re.compile(r"""(?:"[^"]*"|'[^']*'|\([^()]*\))$""")

_QUOTE = re.compile(r" {0,3}> ?")
_ITEM = re.compile(r"( {0,3})([-*+]|[0-9]{1,9}[.)])( {1,4}(?! )| (?= )|$)")
_RULE = re.compile(r" {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)$")
_HEADING = re.compile(r"#{1,6}(?:[ \t]+|$)")
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_PREFIX = re.compile(r"(?:\[\^[^\s\[\]]+\]:|\[[ xX]\])[ \t]+")  # a footnote's name, a box to tick
_ALERT = re.compile(r"\[![A-Za-z]+\]$")
_DELIMITERS = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$")
_BREAK = re.compile(r"(?:(?<!\\)(?:\\\\)*\\|<br */?>)$")

_BLOCK_TAGS = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt|"
    "fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li|link|main|menu|"
    "menuitem|nav|noframes|ol|optgroup|option|p|param|picture|search|section|summary|table|tbody|td|tfoot|th|thead|"
    "title|tr|track|ul"
)
_EMPTY = re.compile(r"^\s*$")
_RAW_TAGS = "(?:script|pre|style|textarea)"
_HTML = (  # how a block of HTML begins, what ends it, whether it may interrupt a paragraph
    (re.compile(rf" {{0,3}}<{_RAW_TAGS}(?:[\s>]|$)", re.I), re.compile(rf"</{_RAW_TAGS}>", re.I), True),
    (re.compile(r" {0,3}<!--"), re.compile(r"-->"), True),
    (re.compile(r" {0,3}<\?"), re.compile(r"\?>"), True),
    (re.compile(r" {0,3}<![A-Za-z]"), re.compile(r">"), True),
    (re.compile(r" {0,3}<!\[CDATA\["), re.compile(r"\]\]>"), True),
    (re.compile(rf" {{0,3}}</?(?:{_BLOCK_TAGS})(?:\s|/?>|$)", re.I), _EMPTY, True),
    (re.compile(r""" {0,3}</?[A-Za-z][A-Za-z0-9-]*(?:\s(?:[^<>"']|"[^"]*"|'[^']*')*)?/?>$"""), _EMPTY, False),
)
_PIPE = re.compile(r"(?<!\\)\|")

_DEEPEST = 200  # quotes and items in each other; what goes deeper is text
_IS_QUOTE = 0  # a container that is no list item; list items are the width that their lines are indented by


def read_markdown_blocks(content: str, frame: Frame) -> None:
    """Adds a Markdown document to `frame`."""
    labels = frozenset(label_key(label) for label in _DEFINITIONS.findall(content))
    blocks = _Blocks(frame, partial(read_markdown, labels=labels))
    if front_matter := _FRONT_MATTER.match(content):
        frame.keep(front_matter[0])
        content = content[front_matter.end() :]
    for line in _LINE.findall(content):
        blocks.add(line)
    blocks.end_paragraph()


class _Blocks:
    """Reads lines one after another; holds the blocks that are open."""

    def __init__(self, frame: Frame, read: "partial[Inline]") -> None:
        self.frame, self.read = frame, read
        self.containers: list[int] = []
        self.paragraph: list[tuple[str, str, str]] = []  # what stands before a line, the line, what stands behind it
        self.code_until: re.Pattern[str] | None = None  # what ends the open block of code or HTML
        self.in_table = self.after_definition = False

    def add(self, line: str) -> None:
        """The next line, with its end."""
        text = line.rstrip("\r\n").rstrip(" \t")
        plain = text.expandtabs(4)
        column, matched = self._continued(plain)
        if matched < len(self.containers) and not self._is_lazy(plain[column:], self.containers[matched]):
            self._close()
            self.code_until = None
            del self.containers[matched:]
        if self.code_until is not None:
            if self.code_until.search(plain[column:]):
                self.code_until = None
            self.frame.keep(line)
        else:
            column = self._open(plain, column)
            self._leaf(plain[column:], text, _place(text, plain, column), line)

    def end_paragraph(self) -> None:
        """Adds the paragraph that is open, if one is: each stretch up to a hard line break by itself."""
        lines: list[tuple[str, str]] = []
        for before, text, behind in self.paragraph:
            if lines:
                lines[-1] = (lines[-1][0], lines[-1][1] + before)
            else:
                self.frame.keep(before)
            forced = _BREAK.search(text)
            if forced:
                text, behind = text[: forced.start()], text[forced.start() :] + behind
            lines.append((text, behind))
            if forced or behind.startswith("  "):
                self.frame.paragraph(lines, self.read)
                lines = []
        if lines:
            self.frame.paragraph(lines, self.read)
        self.paragraph = []

    # ---- containers: quotes and list items ----

    def _continued(self, plain: str) -> tuple[int, int]:
        """Where a line's text begins behind the signs of the open containers, and how many of these go on."""
        column = 0
        for depth, width in enumerate(self.containers):
            rest = plain[column:]
            if width == _IS_QUOTE:
                if not (quote := _QUOTE.match(rest)):
                    return column, depth
                column += quote.end()
            elif rest.strip():
                if len(rest) - len(rest.lstrip(" ")) < width:
                    return column, depth
                column += width
        return column, len(self.containers)

    def _is_lazy(self, rest: str, container: int) -> bool:
        """Whether a line without its container's sign goes on with the open paragraph."""
        if not self.paragraph or not rest.strip() or _QUOTE.match(rest) or _RULE.match(rest) or _FENCE.match(rest):
            return False
        if _HEADING.match(rest.lstrip(" ")) or _html_end(rest, in_paragraph=True):
            return False
        item = _ITEM.match(rest)
        return not (item and (container != _IS_QUOTE or _may_interrupt(item, rest)))

    def _open(self, plain: str, column: int) -> int:
        """Opens the containers that begin on this line. Returns where the text behind their signs begins."""
        while len(self.containers) < _DEEPEST:
            rest = plain[column:]
            if quote := _QUOTE.match(rest):
                self._close()
                self.containers.append(_IS_QUOTE)
                column += quote.end()
                continue
            if _RULE.match(rest) or (self.paragraph and _UNDERLINE.match(rest)):
                return column
            item = _ITEM.match(rest)
            if not item or (self.paragraph and not _may_interrupt(item, rest)):
                return column
            self._close()
            self.containers.append(len(item[1]) + len(item[2]) + max(1, len(item[3])))
            column += item.end()
        return column

    def _close(self) -> None:
        self.end_paragraph()
        self.in_table = self.after_definition = False

    # ---- what stands in them ----

    def _leaf(self, leaf: str, text: str, at: int, line: str) -> None:
        """A line behind the signs of its containers: `leaf` with its indentation, `text[at:]` without."""
        before, content, behind = text[:at], text[at:], line[len(text) :]
        after_definition, self.after_definition = self.after_definition, False
        if not content:
            self._close()
            self.frame.keep(line)
        elif leaf.startswith("    ") and not self.paragraph:
            self.frame.keep(line)
        elif code_until := _fence_end(leaf) or _html_end(leaf, bool(self.paragraph)):
            self._close()
            self.code_until = None if _fence_end(leaf) is None and code_until.search(leaf) else code_until
            self.frame.keep(line)
        elif _RULE.match(leaf) or (self.paragraph and _UNDERLINE.match(leaf)):
            self._close()
            self.frame.keep(line)
        elif heading := _HEADING.match(content):
            self._close()
            self._heading(before + heading[0], content[heading.end() :], behind)
        elif self.in_table:
            self._row(before, content, behind)
        elif self._begins_table(content):
            header = self.paragraph.pop()
            self._close()
            self._row(*header)
            self.frame.keep(line)
            self.in_table = True
        elif not self.paragraph and (_DEFINITION.match(content) or (after_definition and _TITLE.fullmatch(content))):
            self.frame.keep(line)
            self.after_definition = not after_definition
        elif not self.paragraph and _ALERT.fullmatch(content):
            self.frame.keep(line)
        else:
            prefix = _PREFIX.match(content) if not self.paragraph else None
            length = prefix.end() if prefix else 0
            self.paragraph.append((before + content[:length], content[length:], behind))

    def _heading(self, before: str, content: str, behind: str) -> None:
        title = content.rstrip("#")
        if title.endswith((" ", "\t")):
            behind = content[len(title.rstrip()) :] + behind
            content = title.rstrip()
        self.frame.keep(before)
        self.frame.paragraph([(content, behind)], self.read)

    def _begins_table(self, content: str) -> bool:
        """Whether a line is the row of dashes below the header that stands last in the open paragraph."""
        if not self.paragraph or "|" not in content or not _DELIMITERS.fullmatch(content):
            return False
        return _count_cells(content) == _count_cells(self.paragraph[-1][1])

    def _row(self, before: str, content: str, behind: str) -> None:
        self.frame.keep(before)
        for index, cell in enumerate(_PIPE.split(content)):
            text = cell.strip()
            begin = cell.index(text)
            self.frame.keep("|" * (index > 0) + cell[:begin])
            self.frame.paragraph([(text, cell[begin + len(text) :])], self.read, {"|": "\\|"})
        self.frame.keep(behind)


def _place(text: str, plain: str, column: int) -> int:
    """Where the text behind `plain[:column]` begins in a line whose tabs are not spaces yet."""
    signs = len("".join(plain[:column].split()))
    for at, sign in enumerate(text):
        if not sign.isspace():
            if not signs:
                return at
            signs -= 1
    return len(text)


def _may_interrupt(item: re.Match[str], rest: str) -> bool:
    """Whether an item may follow the line of a paragraph at once: not an empty one, and a number only where it is 1."""
    return item.end() < len(rest) and item[2].rstrip(".)") in ("-", "*", "+", "1")


def _fence_end(leaf: str) -> re.Pattern[str] | None:
    """What ends the block of code that a line begins."""
    fence = _FENCE.match(leaf)
    return re.compile(rf"^ {{0,3}}{fence[1][0]}{{{len(fence[1])},}} *$") if fence else None


def _html_end(leaf: str, in_paragraph: bool) -> re.Pattern[str] | None:
    """What ends the block of HTML that a line begins."""
    for begin, end, interrupts in _HTML:
        if (interrupts or not in_paragraph) and begin.match(leaf):
            return end
    return None


def _count_cells(row: str) -> int:
    return len(_PIPE.split(row.strip().removeprefix("|").removesuffix("|")))
