# SPDX-License-Identifier: GPL-2.0-or-later
"""Talk to a daemon by its control socket, found as its header says."""
import json
import os
import socket

from mount import PATIENCE, mounts_below

TOP = '/run/foldfs'


def path_of(point, top=TOP):
    """The socket of what is mounted there."""
    return f'{top}/{mounts_below(point)[-1][2]}.sock'


def sockets(top=TOP):
    """The names of all there are."""
    return sorted(os.listdir(top)) if os.path.isdir(top) else []


class Talk:
    """One connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(PATIENCE)
        self.lines = self.socket.makefile('rb')

    def say(self, line):
        """A request, whose answer is heard later."""
        self.socket.sendall(line.encode() + b'\n')

    def hear(self):
        """The next answer; None at the end."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def ask(self, line):
        """A request and its answer."""
        self.say(line)
        return self.hear()

    def close(self):
        """The end."""
        self.lines.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ask(path, line):
    """One request on a connection of its own."""
    with Talk(path) as talk:
        return talk.ask(line)
