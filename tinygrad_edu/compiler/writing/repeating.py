"""Write lines that repeat as loops: over time, or over layers.

The lines of a program are compared as text. Where a block of lines repeats, and the
numbers in it grow by the same step in every turn, a loop writes the same lines with
less text; z1, z2, ... become z[1], z[2], ... there. So a loop computes what its lines
did, in the same order.
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from textwrap import wrap
from typing import NamedTuple

import numpy as np

from tinygrad_edu.compiler.namespace import identifier
from tinygrad_edu.formulas.naming import Taken
from tinygrad_edu.formulas.repeats import (
    FEWEST_BETWEEN,
    FEWEST_TURNS,
    Span,
    repeats,
)

__all__ = ["ProgramLine", "are_alike", "with_loops"]

# A program without a long loop is written without any; one with it, with short ones.
SHORT = 2  # lines between the first turn and the last one
MOST_NUMBERS = 64  # a line with more of them is in no loop
WIDTH = 84  # of a line within a function
TOKEN = re.compile(
    r"""(?P<other>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"  # texts
    |\.[^\W\d]\w*|[^\W\d]\w*=(?!=)  # attributes, keywords
    |\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|\d{10,})  # floats, and what is no index
    |(?P<name>[^\W\d]\w*)|(?P<number>\d+)""",
    re.VERBOSE,
)
NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]{0,8})")
UNNAMED = {"t", "dt"}  # the stems of names that say nothing

Place = tuple[str, int | None]  # z[2] is ("z", 2), the number 2 is ("", 2)
Row = list[Place]  # those in a turn of a loop


class ProgramLine(NamedTuple):
    """A line of a program: the code is followed by the sum of the terms, if any."""

    code: str
    comment: str = ""
    is_quiet: bool = False  # an overflow is harmless
    terms: tuple[str, ...] = ()


class _Code:
    """Code, and the names and numbers in it that a loop may change."""

    def __init__(self, code: str, variables: Collection[str] | None = None) -> None:
        self.pieces: list[str] = []  # one more than there are tokens
        self.tokens: list[str] = []
        end = 0
        for match in TOKEN.finditer(code):
            word = match[0]
            is_variable = match["name"] and (variables is None or word in variables)
            if match["number"] or is_variable:
                self.pieces.append(code[end : match.start()])
                self.tokens.append(word)
                end = match.end()
        self.pieces.append(code[end:])
        self.numbered = [_split(word) for word in self.tokens]
        self.look = (*self.pieces, *(stem for stem, _ in self.numbered))
        self.numbers = [n for _, n in self.numbered if n is not None]

    @property
    def target(self) -> str:
        """The name that the line defines."""
        defines = self.tokens and not self.pieces[0] and self.pieces[1][:3] == " = "
        return self.tokens[0] if defines else ""

    def write(self, words: Sequence[str]) -> str:
        pairs = zip(self.pieces, (*words, ""), strict=True)
        return "".join(part for pair in pairs for part in pair)


def _split(word: str) -> Place:
    match = NUMBERED.fullmatch(word)
    return (match[1], int(match[2])) if match else (word, None)


class _Counter(NamedTuple):
    """What counts the turns: from a number, up or down."""

    first: int
    step: int

    def at(self, turn: int) -> int:
        return self.first + self.step * turn

    def range(self, turns: int) -> str:
        low, high = sorted((self.first, self.at(turns - 1)))
        text = f"range({low}, {high + 1})" if low else f"range({high + 1})"
        return text if self.step > 0 else f"reversed({text})"

    def write(self, name: str, first: int, step: int) -> str:
        """Write the number that is `first` at first, and grows by a step every turn."""
        factor = step * self.step
        rest = first - factor * self.first
        if factor == -1:
            return f"{rest} - {name}"
        text = name if factor == 1 else f"{factor} * {name}"
        return f"{text} {'-' if rest < 0 else '+'} {abs(rest)}" if rest else text


def _steps(a: Row, b: Row) -> list[int] | None:
    """By how much the numbers grow from one turn to the next, if that is all."""
    steps = []
    for (stem, m), (other, n) in zip(a, b):
        step = n - m if m is not None and n is not None else 0
        if stem != other or (m is None) != (n is None) or (stem and abs(step) > 1):
            return None
        steps.append(step)
    return steps


def _runs(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Divide turns into runs in which all numbers grow steadily: from, up to."""
    start, last = 0, None
    for i in range(1, len(rows)):
        steps = _steps(rows[i - 1], rows[i])
        if steps is None or (i - start > 1 and steps != last):
            # Of a run of two turns, the second may begin the next run instead.
            is_pair = steps is not None and i - start == 2
            yield start, i - is_pair
            start = i - is_pair
        last = steps
    yield start, len(rows)


def are_alike(terms: Sequence[str]) -> bool:
    """Whether so many terms of a sum follow each other that they may be a loop."""
    looks = [_Code(term).look for term in terms]
    return any(len(list(same)) >= FEWEST_TURNS for _, same in groupby(looks))


def with_loops(
    lines: Sequence[ProgramLine],
    given: Collection[str],
    computed: Collection[str],
    taken: Taken,
) -> list[tuple[str, str]]:
    """Return the lines' code and comments, with loops in place of those that repeat.

    Parameters
    ----------
    lines : sequence of ProgramLine
        The last one returns the answers.
    given, computed : collections of str
        The names of variables that are there before the lines, and that they compute.
    taken : Taken
        The names that nothing else may have.
    """
    return _Folding(lines, given, computed, taken).lines


class _Folding:
    def __init__(
        self,
        lines: Sequence[ProgramLine],
        given: Collection[str],
        computed: Collection[str],
        taken: Taken,
    ) -> None:
        self._given, self._computed = dict.fromkeys(given), computed
        self._taken = taken
        taken.take([*given, *computed])
        self._lines: list[ProgramLine] = []  # each followed by its terms
        # Lines of one group may be in one loop.
        self._groups: list[tuple[str, int]] = []
        for line in lines:
            i = len(self._lines)
            is_alone = line.terms or line is lines[-1]
            group = ("alone", i) if is_alone else ("lines", int(line.is_quiet))
            self._lines += [line, *map(ProgramLine, line.terms)]
            self._groups += [group, *[("terms", i)] * len(line.terms)]
        variables = {*given, *computed}
        self._texts = [_Code(line.code, variables) for line in self._lines]
        self._places: dict[str, Place] = {}
        self._families: dict[str, str] = {}  # names of dicts, by stem
        self._defined: dict[str, int] = {}  # in which line
        self._read: dict[str, int] = {}  # in which line last
        self._loops: dict[int, Span] = {}  # by their first line
        self._counters: dict[str, str] = {}  # their names, by letter
        if self._find(FEWEST_BETWEEN):
            found = self._find(SHORT)
            self._name_families(found)
            self._note_lines()
            for loop in found:
                self._name_the_rest(loop)
        self.lines = list(self._write())

    # --- Finding ----------------------------------------------------------------------

    def _find(self, fewest_between: int) -> list[Span]:
        looks: dict[object, int] = {}
        widest = max(len(text.numbers) for text in self._texts)
        numbers = np.full((len(self._texts), min(widest, MOST_NUMBERS)), -1)
        code = np.empty(len(self._texts), np.int64)
        for i, (group, text) in enumerate(zip(self._groups, self._texts)):
            look: object = (group, *text.look)
            if len(text.numbers) > MOST_NUMBERS:
                look = i
            else:
                numbers[i, : len(text.numbers)] = text.numbers
            code[i] = looks.setdefault(look, len(looks))
        nothing = np.empty((len(code), 0), np.int64)
        loops: list[Span] = []
        for _, stop, period in repeats(code, numbers, nothing, fewest_between):
            if period > 1 and self._groups[stop - 1][0] == "terms":
                continue  # two terms in a turn would be added up by themselves
            step = numbers[period:] - numbers[:-period]
            first = stop - 2 * period
            floor = loops[-1].stop if loops else 0
            while first > floor and (
                code[first - 1] == code[first - 1 + period]
                and (step[first - 1] == step[first - 1 + period]).all()
            ):
                first -= 1
            ways = [
                Span(i, stop - (stop - i) % period, period)
                for i in range(first, first + period)
            ]
            ways = [way for way in ways if way.turns >= FEWEST_TURNS]
            loops += sorted(ways, key=self._oddness)[:1]
        return loops

    def _oddness(self, loop: Span) -> tuple[int, int, int, int]:
        """Prefer that a turn defines, and then reads, what has one and the same number.

        Of those that are as good, prefer the most turns, and the latest begin.
        """
        turn, other = self._turn(loop, 0), self._turn(loop, 1)
        defined = {_split(text.target) for text in turn}
        numbers = {n for stem, n in defined if stem not in UNNAMED} - {None}
        pairs = [p for a, b in zip(turn, other) for p in zip(a.numbered, b.numbered)]
        changing = Counter(a[1] for a, b in pairs if a != b and a[0] not in UNNAMED)
        others = changing.total() - max(changing.values(), default=0)
        return len(numbers), others, -loop.turns, -loop.start

    def _turn(self, loop: Span, turn: int) -> list[_Code]:
        start = loop.start + turn * loop.period
        return self._texts[start : start + loop.period]

    # --- Names ------------------------------------------------------------------------

    def _name_families(self, loops: Sequence[Span]) -> None:
        """Put what has the textbook's numbers, such as z1, into dicts by these."""
        pairs = [
            pair
            for loop in loops
            for a, b in zip(self._turn(loop, 0), self._turn(loop, 1))
            for pair in zip(a.numbered, b.numbered)
        ]
        for (stem, m), (_, n) in pairs:
            grows = m is not None and n is not None and abs(n - m) == 1
            is_new = stem not in UNNAMED and stem not in self._families
            if stem and grows and is_new:
                name = identifier(stem.rstrip("_"))
                name = f"{name}s" if name in self._taken else name
                self._families[stem] = self._taken.unused(name)
        for word in (*self._given, *self._computed):
            stem, n = _split(word)
            if stem in self._families and n is not None:
                self._places[word] = self._families[stem], n

    def _note_lines(self) -> None:
        """Note where names are defined, and where they are read for the last time."""
        for i, text in enumerate(self._texts):
            if text.target:
                self._defined.setdefault(text.target, i)
            for word in text.tokens[bool(text.target) :]:
                self._read[word] = i

    def _name_the_rest(self, loop: Span) -> None:
        """Name what else a loop defines; keep those turns that are alike then."""
        while loop.turns >= FEWEST_TURNS:
            places = self._rest(loop)
            known = ChainMap(places, self._places)
            turns = (self._turn(loop, i) for i in range(loop.turns))
            rows = [_row(turn, known) for turn in turns]
            start, stop = max(_runs(rows), key=lambda run: run[1] - run[0])
            if stop - start == loop.turns:
                self._places |= places
                self._loops[loop.start] = loop
                return
            first, last = (loop.start + n * loop.period for n in (start, stop))
            loop = Span(first, last, loop.period)

    def _rest(self, loop: Span) -> dict[str, Place]:
        """Choose one name for what each turn defines anew, or a dict, if it is kept."""
        counter = self._counter(self._turn(loop, 0), self._turn(loop, 1))
        places: dict[str, Place] = {}
        for i in range(loop.start, loop.start + loop.period):
            target = self._texts[i].target
            if not target or target in self._places:
                continue
            first, names = self._in_turns(loop, i)
            is_kept = any(
                self._read.get(a, 0) > self._defined[b] for a, b in pairwise(names)
            )
            for turn, word in enumerate(names, first):
                places[word] = names[0], counter.at(turn) if is_kept else None
        return places

    def _in_turns(self, loop: Span, i: int) -> tuple[int, list[str]]:
        """Return the first turn that has line i, and what this defines in each.

        It is turn -1 where the line just before the loop is alike, or else turn 0. The
        line just after the loop may be one more turn.
        """
        names = [text.target for text in self._texts[i : loop.stop : loop.period]]
        stem, _ = _split(names[0])
        m, n = (self._texts[at].numbers[0] for at in (i, i + loop.period))
        ends = []
        for turn in (-1, loop.turns):
            at = i + turn * loop.period
            word = self._texts[at].target if 0 <= at < len(self._texts) else ""
            follows = _split(word) == (stem, m + turn * (n - m))
            ends.append([word] * (follows and word not in self._places))
        return -len(ends[0]), [*ends[0], *names, *ends[1]]

    def _counter(self, turn: Sequence[_Code], other: Sequence[_Code]) -> _Counter:
        """Count turns by the number that is most common in them."""
        rows = (_row(texts, self._places) for texts in (turn, other))
        found = Counter(
            _Counter(m, n - m)
            for (_, m), (_, n) in zip(*rows)
            if m is not None and n is not None and abs(n - m) == 1
        )
        # A line begins with what it defines; a gradient's terms end with a delta.
        order = found if turn[0].target else reversed(found)
        return max(order, key=found.__getitem__, default=_Counter(1, 1))

    def _place(self, word: str) -> Place:
        return _placed(word, self._places)

    # --- Writing ----------------------------------------------------------------------

    def _write(self) -> Iterator[tuple[str, str]]:
        yield from self._write_dicts()
        i = 0
        while i < len(self._lines):
            line = self._lines[i]
            if i in self._loops:
                yield from self._write_loop(self._loops[i])
                i = self._loops[i].stop
                continue
            codes = [self._plain(self._texts[i])]
            after = i + 1 + len(line.terms)
            if line.terms:
                codes = [*self._write_sum(codes[0], i + 1, after)]
            yield from _quiet(codes, line.comment, line.is_quiet)
            i = after

    def _write_dicts(self) -> Iterator[tuple[str, str]]:
        """Make the dicts: of what is given, and empty ones.

        What is given, counted from 0, and all that the dict will hold is a list.
        """
        full: dict[str, dict[int, str]] = {}
        growing = {self._place(word)[0] for word in self._computed}
        for word in self._given:
            family, n = self._place(word)
            if n is not None:
                full.setdefault(family, {})[n] = word
        for family, items in full.items():
            pairs = ", ".join(f"{n}: {word}" for n, word in items.items())
            is_list = family not in growing and list(items) == [*range(len(items))]
            text = f"[{', '.join(items.values())}]" if is_list else f"{{{pairs}}}"
            for line in wrap(f"{family} = {text}", WIDTH, subsequent_indent="    "):
                yield line, ""
        dicts = dict.fromkeys(x for x, n in self._places.values() if n is not None)
        empty = [name for name in dicts if name not in full]
        for start in range(0, len(empty), 6):
            names = empty[start : start + 6]
            yield f"{', '.join(names)} = {', '.join(['{}'] * len(names))}", ""

    def _plain(self, text: _Code) -> str:
        return text.write([_word(self._place(word)) for word in text.tokens])

    def _write_loop(self, loop: Span) -> Iterator[tuple[str, str]]:
        head, codes = self._written(loop)
        yield f"{head}:", ""
        for i, code in enumerate(codes, loop.start):
            lines = self._lines[i : loop.stop : loop.period]
            comment = _common([line.comment for line in lines])
            for line in _quiet([code], comment, lines[0].is_quiet):
                yield f"    {line[0]}", line[1]

    def _written(self, loop: Span) -> tuple[str, list[str]]:
        """Write the head of a loop, and the lines of a turn."""
        turn, other = self._turn(loop, 0), self._turn(loop, 1)
        counter = self._counter(turn, other)
        name = self._name_counter(turn, other)
        counter = _Counter(0, 1) if name == "_" else counter
        codes = [self._write_turn(a, b, counter, name) for a, b in zip(turn, other)]
        return f"for {name} in {counter.range(loop.turns)}", codes

    def _name_counter(self, turn: Sequence[_Code], other: Sequence[_Code]) -> str:
        """Count layers by l, times by t."""
        pairs = [p for a, b in zip(turn, other) for p in zip(a.tokens, b.tokens)]
        changing = [a for a, b in pairs if self._place(a) != self._place(b)]
        if not changing:
            return "_"
        letter = "l" if any(a in self._given for a in changing) else "t"
        if letter not in self._counters:
            self._counters[letter] = self._taken.unused(letter)
        return self._counters[letter]

    def _write_turn(self, a: _Code, b: _Code, counter: _Counter, name: str) -> str:
        """Write a line of a loop, of those in its first two turns."""
        words = []
        places = (map(self._place, text.tokens) for text in (a, b))
        for i, ((stem, m), (_, n)) in enumerate(zip(*places)):
            if m is None or n is None or m == n:
                words.append(_word((stem, m)))
                continue
            index = counter.write(name, m, n - m)
            before, after = a.pieces[i : i + 2]
            alone = before.endswith(("[", "(", "=", ":", ", "))
            alone &= after.startswith(("]", ")", ":", ","))
            bracketed = index if alone or index == name else f"({index})"
            words.append(f"{stem}[{index}]" if stem else bracketed)
        return a.write(words)

    def _write_sum(self, target: str, i: int, after: int) -> Iterator[str]:
        """Write a sum on few lines; terms that repeat are the sum of a loop."""
        parts: list[str] = []
        while i < after:
            if i not in self._loops:
                parts.append(self._plain(self._texts[i]))
                i += 1
                continue
            head, (term,) = self._written(self._loops[i])
            parts = [] if parts == ["0"] else parts  # where a sum begins anyway
            parts.append(f"sum({term} {head})")
            if len(target) + len(parts[-1]) > WIDTH:
                parts[-1] = f"sum(\n    {term}\n    {head}\n)"
            i = self._loops[i].stop
        line = f"{target}{parts[0]}"
        for part in parts[1:]:
            if len(line) + 3 + len(part) > WIDTH:
                yield line
                line = target + target.removesuffix(" = ")
            line += f" + {part}"
        yield line


def _placed(word: str, places: Mapping[str, Place]) -> Place:
    return ("", int(word)) if word.isdigit() else places.get(word, (word, None))


def _row(texts: Sequence[_Code], places: Mapping[str, Place]) -> Row:
    """List the names and numbers in a turn of a loop."""
    return [_placed(word, places) for text in texts for word in text.tokens]


def _word(place: Place) -> str:
    name, n = place
    return name if n is None else f"{name}[{n}]" if name else f"{n}"


def _quiet(
    codes: Iterable[str], comment: str, is_quiet: bool
) -> Iterator[tuple[str, str]]:
    if is_quiet:
        yield 'with np.errstate(over="ignore"):', ""
    for line in "\n".join(codes).split("\n"):
        yield "    " * is_quiet + line, comment
        comment = ""


def _common(comments: Sequence[str]) -> str:
    """Say of all turns what is said of each: a shape, or an op."""
    columns = zip(*(comment.split("  ") for comment in comments))
    return "  ".join(words[0] for words in columns if len(set(words)) == 1)
