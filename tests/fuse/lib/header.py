# SPDX-License-Identifier: GPL-2.0-or-later
"""Find cases and read what each says about itself in its first comment.

    # options: size=64m,nr_inodes=100   what it is mounted with
    # fs: foldfs                        not for a tmpfs (default: any)
    # mount: no                         the case mounts by itself
    # device: open                      ordinary users may open /dev/fuse
    # needs: git sqlite3                programs; without them it is skipped
    # timeout: 60                       seconds, on a fast build
    # sanitizer: skip REASON            not with a sanitizer
    # serial                            nothing else may run beside it
"""
import os

# Where cases are, from the folder of the runner.
FOLDERS = ('cases', 'stress', '../swap/cases', '../swap/stress')
KEYS = ('options', 'fs', 'mount', 'device', 'needs', 'timeout', 'sanitizer')


class Case:
    """One executable file and its header."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.name = os.path.basename(path)
        self.options = ''
        self.fs = 'any'
        self.mount = 'yes'
        self.device = ''
        self.needs = ''
        self.timeout = 120
        self.sanitizer = ''
        self.serial = False
        self._read()

    def _read(self):
        with open(self.path, encoding='utf-8') as lines:
            for line in lines:
                if not line.startswith('#'):
                    break
                self._take(line[1:].strip())

    def _take(self, line):
        if line == 'serial':
            self.serial = True
            return
        key, colon, value = line.partition(':')
        if not colon or key not in KEYS:
            return
        value = value.strip()
        if key == 'timeout':
            self.timeout = int(value)
        else:
            setattr(self, key, value)


def find_all(folder):
    """Every executable file of the folder, in the order of the names."""
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    return [Case(p) for p in paths
            if os.path.isfile(p) and os.access(p, os.X_OK)]


def find(top, word):
    """The case of this path, name, or start of a name; None if unclear."""
    if os.path.isfile(word):
        return Case(word)
    both = [c for folder in FOLDERS
            for c in find_all(os.path.join(top, folder))]
    exact = [c for c in both if c.name == word]
    near = [c for c in both if c.name.startswith(word)]
    found = exact or near
    return found[0] if len(found) == 1 else None
