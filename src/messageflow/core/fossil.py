"""Fossil deltas: a text that makes one version of something out of the one before it, usually far shorter than either.

    <size of the target>\\n  { <count>@<offset>,  |  <count>:<bytes> }  <checksum of the target>;

Numbers are in base 64, the highest digit first. `count@offset,` copies from the source, `count:` is followed by so many
bytes of its own; the checksum is the sum of the target's big-endian words of 32 bits, the last filled up with zeros.

What is made here never cuts a character of UTF-8 in two, so that a delta between texts is a text and fits into JSON.

Pure. Source: the delta format of Fossil (fossil-scm.org, "Delta Format").
"""

from __future__ import annotations

import re
import struct
from bisect import bisect

BLOCK = 16  # bytes that must be alike for a copy to be found in the middle
COPY_COST = 9  # bytes that a copy takes in place of what it copies; shorter ones are not worth it
CANDIDATES = 8  # places of a block that are looked at
WORK = 8_000  # bytes looked at without success, or so many times `HIT`, before the rest is taken as it is: 20 ms
HIT = 40
STEP = 64  # bytes that are compared at first
LONG = 200  # bytes of a copy that is good enough to look no further

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_COMMAND = re.compile(rb"([0-9A-Z_a-z~]{1,6})([@:;])")
_COPY_FROM = re.compile(rb"([0-9A-Z_a-z~]{1,6}),")
_SIZE = re.compile(rb"([0-9A-Z_a-z~]{1,6})\n")

Copy = tuple[int, int, int]  # where in the target, from where in the source, how many bytes
NONE = (0, 0, 0)


class MalformedDelta(ValueError):
    """This is no delta, or none for this source."""


def create(source: bytes, target: bytes) -> bytes:
    """Return what makes `target` of `source`. It is longer than `target` where the two have little in common."""
    parts, done = [_write(len(target)), b"\n"], 0
    for start, origin, count in _find_copies(source, target):
        if start > done:
            parts += (_write(start - done), b":", target[done:start])
        parts += (_write(count), b"@", _write(origin), b",")
        done = start + count
    if done < len(target):
        parts += (_write(len(target) - done), b":", target[done:])
    parts += (_write(_sum_words(target)), b";")
    return b"".join(parts)


def apply(source: bytes, delta: bytes, most: int = 1 << 24) -> bytes:
    """Return what a delta makes of `source`.

    Args:
        source: what it was made from.
        delta: of any content.
        most: bytes that may come out.

    Raises:
        MalformedDelta: it is none, or of another source, or more would come out.
    """
    found = _SIZE.match(delta)
    if found is None:
        raise MalformedDelta("it says no size")
    size, made, parts = _read(found[1]), 0, []
    if size > most:
        raise MalformedDelta(f"{size} bytes would come out, more than {most}")
    command = _COMMAND.match(delta, found.end())
    while command is not None and command[2] != b";":
        count, at = _read(command[1]), command.end()
        if command[2] == b":":
            part, at = delta[at : at + count], at + count
        else:
            origin = _COPY_FROM.match(delta, at)
            if origin is None:
                raise MalformedDelta("a copy without an offset")
            offset, at = _read(origin[1]), origin.end()
            part = source[offset : offset + count]
        made += count
        if len(part) != count or made > size:
            raise MalformedDelta("a command reaches too far")
        parts.append(part)
        command = _COMMAND.match(delta, at)
    target = b"".join(parts)
    if command is None or command.end() != len(delta) or made != size:
        raise MalformedDelta("it has no end, or the wrong one")
    if _read(command[1]) != _sum_words(target):
        raise MalformedDelta("the checksum is another: it was made from something else")
    return target


def _find_copies(source: bytes, target: bytes) -> list[Copy]:
    """Return what stands in both, in the order of the target: its beginning, its end, and blocks between them."""
    room = min(len(source), len(target))
    head = _align_end(target, 0, _count_alike_after(source, 0, target, 0, room))
    tail = _count_alike_before(source, len(source), target, len(target), room - head)
    end = _align_start(target, len(target) - tail)
    copies: list[Copy] = []
    if head > COPY_COST:
        copies.append((0, 0, head))
    else:
        head = 0
    if len(target) - end <= COPY_COST:
        end = len(target)
    if end - head > BLOCK:
        copies += _find_blocks(source, target, head, end)
    if end < len(target):
        copies.append((end, len(source) - (len(target) - end), len(target) - end))
    return copies


def _find_blocks(source: bytes, target: bytes, start: int, end: int) -> list[Copy]:
    """Return copies for `target[start:end]`; each contains a block of what stands there in the source."""
    places: dict[bytes, list[int]] = {}
    for offset in range(start, len(source) - (len(target) - end) - BLOCK + 1, BLOCK):
        places.setdefault(source[offset : offset + BLOCK], []).append(offset)
    copies: list[Copy] = []
    # From where in the target to where in the source: what follows a change is most likely where one of these says.
    shift, shift_of_end = 0, len(source) - len(target)
    done = at = start
    work = WORK
    best, until = NONE, end
    while at <= end - BLOCK and at < until and work > 0:
        found = places.get(target[at : at + BLOCK])
        work -= 1 if found is None else HIT
        for each in _list_likely(found, at + shift, at + shift_of_end) if found else ():
            best = max(best, _extend(source, target, each, at, done, end), key=_count_of)
        at += 1
        if best[2] <= COPY_COST:
            continue
        until = min(until, at + BLOCK)  # in rows that are much alike the first that is found is often the wrong one
        if best[2] >= LONG or at >= until or at > end - BLOCK:
            copies.append(best)
            done = at = best[0] + best[2]
            shift = best[1] - best[0]
            best, until = NONE, end
    return copies


def _list_likely(found: list[int], *expected: int) -> list[int]:
    """Return where in the source a block may belong: a few places where it stands, and where it is expected."""
    near = bisect(found, expected[0]) - CANDIDATES // 2
    return [*found[max(near, 0) :][:CANDIDATES], *[each for each in expected if each >= 0]]


def _count_of(copy: Copy) -> int:
    return copy[2]


def _extend(source: bytes, target: bytes, origin: int, at: int, start: int, end: int) -> Copy:
    """Return the longest copy around `target[at]`, found at `source[origin]`, within `target[start:end]`."""
    if origin >= len(source):
        return NONE
    before = _count_alike_before(source, origin, target, at, min(origin, at - start))
    after = _count_alike_after(source, origin, target, at, min(len(source) - origin, end - at))
    first = _align_start(target, at - before)
    return first, origin - (at - first), _align_end(target, first, at + after - first)


def _count_alike_after(one: bytes, i: int, other: bytes, j: int, most: int) -> int:
    """Return how many bytes are alike from `one[i]` and `other[j]` on, `most` at most."""
    alike, step = 0, STEP
    while alike < most:
        size = min(step, most - alike)
        here, there = one[i + alike : i + alike + size], other[j + alike : j + alike + size]
        if here != there:
            differing = int.from_bytes(here, "big") ^ int.from_bytes(there, "big")
            return alike + size - (differing.bit_length() + 7) // 8
        alike += size
        step *= 8
    return alike


def _count_alike_before(one: bytes, i: int, other: bytes, j: int, most: int) -> int:
    """The same for those that end just before `one[i]` and `other[j]`."""
    alike, step = 0, STEP
    while alike < most:
        size = min(step, most - alike)
        here, there = one[i - alike - size : i - alike], other[j - alike - size : j - alike]
        if here != there:
            differing = int.from_bytes(here, "little") ^ int.from_bytes(there, "little")
            return alike + size - (differing.bit_length() + 7) // 8
        alike += size
        step *= 8
    return alike


def _align_start(target: bytes, at: int) -> int:
    """Return the first place from `at` on at which a character begins."""
    while at < len(target) and target[at] & 0xC0 == 0x80:
        at += 1
    return at


def _align_end(target: bytes, start: int, count: int) -> int:
    """Return how many of `count` bytes from `start` on end where a character does."""
    end = start + count
    if end < len(target):
        while end > start and target[end] & 0xC0 == 0x80:
            end -= 1
    return max(end - start, 0)


def _sum_words(data: bytes) -> int:
    padded = data + bytes(-len(data) % 4)
    total: int = sum(struct.unpack(f">{len(padded) // 4}I", padded))
    return total & 0xFFFFFFFF


def _write(number: int) -> bytes:
    digits = bytearray()
    while number >= 64:
        digits.append(_DIGITS[number & 63])
        number >>= 6
    digits.append(_DIGITS[number])
    return bytes(digits[::-1])


def _read(digits: bytes) -> int:
    number = 0
    for digit in digits:
        number = number * 64 + _VALUES[digit]
    return number
