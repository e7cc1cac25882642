# SPDX-License-Identifier: GPL-2.0-or-later
"""A program on a terminal of its own: what it shows, what it does to it.

The emulator knows what foldctl writes and nothing else: any other escape
sequence, a character beyond the right edge or a line below the last is an
error, not ignored.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from checks import Wrong
from foldctl import FOLDCTL, patient
from mount import PATIENCE

SEQUENCE = re.compile(r'\033\[(\??)([\d;]*)([A-Za-z])')


class Emulator:
    """What a terminal of this size shows."""

    def __init__(self, rows, columns):
        self.alternate = False
        self.cursor = True
        self.colors = 0
        self.drawn = 0
        self.strict_from = 0
        self.rest = ''
        self.decoder = codecs.getincrementaldecoder('utf-8')()
        self.resize(rows, columns)

    def resize(self, rows, columns):
        """The content is lost, as the program draws all of it again."""
        self.rows, self.columns = rows, columns
        self.cells = [[' '] * columns for _ in range(rows)]
        self.row = self.column = 0

    def _wrong(self, what):
        """An error, unless a page may still be one for another size."""
        if self.drawn >= self.strict_from:
            row = self.cells[min(self.row, self.rows - 1)]
            raise Wrong(f'{what} at {self.row},{self.column} of '
                        f'{self.rows},{self.columns}: ' + ''.join(row))

    def lines(self):
        """The screen as text."""
        return [''.join(row).rstrip() for row in self.cells]

    def feed(self, data):
        """Bytes that the program wrote."""
        text = self.rest + self.decoder.decode(data)
        self.rest = ''
        while text:
            if text[0] == '\033':
                found = SEQUENCE.match(text)
                if not found:
                    if len(text) > 20:
                        raise Wrong(f'unknown sequence {text[:20]!r}')
                    self.rest = text
                    return
                self._sequence(*found.groups())
                text = text[found.end():]
                continue
            self._character(text[0])
            text = text[1:]

    def _character(self, char):
        if char == '\r':
            self.column = 0
        elif char == '\n':
            self.row = min(self.row + 1, self.rows - 1)
        elif ord(char) < 32:
            raise Wrong(f'control character {char!r}')
        elif not self.alternate:
            pass  # a shell's screen: not looked at
        elif self.column >= self.columns or self.row >= self.rows:
            self._wrong(repr(char))
        else:
            self.cells[self.row][self.column] = char
            self.column += 1

    def _sequence(self, private, numbers, letter):
        if private:
            self._mode(int(numbers), letter == 'h')
        elif letter == 'm':
            self.colors += 1
        elif letter == 'H':
            self.row, self.column = int(numbers or 1) - 1, 0
            self.drawn += self.row == 0
        elif letter == 'K' and numbers == '':
            if self.column >= self.columns or self.row >= self.rows:
                self._wrong('cleared')
            else:
                self.cells[self.row][self.column:] = (
                    [' '] * (self.columns - self.column))
        elif letter == 'J':
            first = 0 if numbers == '2' else self.row
            for row in range(first, self.rows):
                self.cells[row] = [' '] * self.columns
        else:
            raise Wrong(f'unknown sequence {private}{numbers}{letter}')

    def _mode(self, number, on):
        if number == 1049:
            self.alternate = on
        elif number == 25:
            self.cursor = on
        elif number != 7:
            raise Wrong(f'unknown mode {number}')


class Terminal:
    """A program, foldctl if no other, in the foreground of a terminal."""

    def __init__(self, *argv, rows=24, columns=80, env=None, program=FOLDCTL):
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.emulator = Emulator(rows, columns)
        self._set_size(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.raw = b''
        read_end, write_end = os.pipe()
        if program == FOLDCTL:
            argv = patient(argv)
        self.process = subprocess.Popen(
            [program, *map(str, argv)], stdin=self.slave, stdout=self.slave,
            stderr=write_end, preexec_fn=self._own_terminal,
            env={**os.environ, 'TERM': 'xterm', **(env or {})})
        os.close(write_end)
        self.errors = os.fdopen(read_end, encoding='utf-8')

    @staticmethod
    def _own_terminal():
        os.setsid()
        # What runs the tests may have told them to ignore some.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def _set_size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack('HHHH', rows, columns, 0, 0))

    def settings(self):
        """As they are now."""
        return termios.tcgetattr(self.slave)

    def resize(self, rows, columns):
        """The window has another size; until the program has drawn for it."""
        self.emulator.strict_from = sys.maxsize
        self._drain()
        self.emulator.resize(rows, columns)
        self._set_size(rows, columns)
        # What was written for the old size is read now, but for one page that
        # may be on its way.
        self._drain()
        first = self.emulator.strict_from = self.emulator.drawn + 2
        self.until(lambda: self.emulator.drawn > first, 'a page drawn again')

    def _drain(self):
        try:
            while data := os.read(self.master, 65536):
                self.raw += data
                self.emulator.feed(data)
        except BlockingIOError:
            pass

    def until(self, question, what):
        """Show what the program writes until the question is true."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self._drain()
            answer = question()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise Wrong(f'never came true: {what}; the screen is\n'
                            + '\n'.join(self.emulator.lines()))
            select.select([self.master], [], [], 0.05)

    def shows(self, pattern):
        """Until a line of the screen matches; the match."""
        regex = re.compile(pattern)

        def search():
            for line in self.emulator.lines():
                if found := regex.search(line):
                    return found
            return None
        return self.until(search, f'a line like {pattern}')

    def key(self, text):
        """Somebody types."""
        os.write(self.master, text.encode())

    def ends(self):
        """Until the program has ended: its exit status, as Popen has it. The
        terminal must be as it was."""
        self.until(lambda: self.process.poll() is not None, 'the end')
        self._drain()
        emulator = self.emulator
        if emulator.alternate or not emulator.cursor:
            raise Wrong('the screen was not given back')
        if self.settings() != self.before:
            raise Wrong(f'settings: {self.settings()}, want {self.before}')
        return self.process.returncode

    def close(self):
        """Whatever state it is in."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.errors.close()
        os.close(self.master)
        os.close(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
