# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lint scripts share: which files there are, and how to complain.

LINT_TOP is the tree that is looked at; without it, the current directory.
A script ends with 0, 1 (it complained) or 77 (its tool is not installed).
"""
import os
import re
import shutil
import subprocess
import sys

SKIPPED = 77
TOP = os.path.abspath(os.environ.get('LINT_TOP') or os.getcwd())
_complaints = []


def complain(path, line, text):
    """One thing that is wrong, as compilers print it."""
    _complaints.append(f'{path}:{line}: {text}')


def finish():
    """Print what was found and end."""
    for complaint in _complaints:
        print(complaint)
    sys.exit(1 if _complaints else 0)


def skip(reason):
    """The check cannot be made here."""
    print(reason)
    sys.exit(SKIPPED)


def tool(*names):
    """The first of these programs that is installed; else skip."""
    for name in names:
        if shutil.which(name):
            return name
    return skip(f'{names[0]} is not installed')


def _from_git():
    out = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others',
         '--exclude-standard'], cwd=TOP, check=True,
        stdout=subprocess.PIPE).stdout.decode()
    return [p for p in set(out.split('\0')) if p]


def _from_disk():
    found = []
    for folder, dirs, names in os.walk(TOP):
        dirs[:] = [d for d in dirs if d not in ('.git', '__pycache__',
                                              'failures')
                   and not d.startswith('build')]
        found += [os.path.relpath(os.path.join(folder, n), TOP)
                  for n in names]
    return found


def files(pattern='.*'):
    """Paths below the top that match, sorted; of git's files if it is a git
    checkout (with what is new and not ignored), else of all."""
    try:
        all_files = (_from_git() if os.path.exists(f'{TOP}/.git')
                     else _from_disk())
    except (OSError, subprocess.CalledProcessError):
        all_files = _from_disk()
    return sorted(p for p in all_files if re.fullmatch(pattern, p)
                  and os.path.isfile(f'{TOP}/{p}'))


def c_files():
    """Our C: sources, headers and tables."""
    return files(r'(src|include|tests)/.*\.(c|h|def)')


def text_of(path):
    """The file as text."""
    with open(f'{TOP}/{path}', encoding='utf-8') as file:
        return file.read()


def lines_of(path):
    """(number, line without its end) for each line."""
    return list(enumerate(text_of(path).split('\n'), 1))


def interpreter_of(path):
    """The last word of a script's first line: 'sh', 'bash', 'python3'."""
    with open(f'{TOP}/{path}', 'rb') as file:
        first = file.readline(200)
    if not first.startswith(b'#!'):
        return ''
    words = first[2:].decode(errors='replace').split()
    return os.path.basename(words[-1]) if words else ''


def run(command, **kwargs):
    """A program in the top directory; its output as text."""
    return subprocess.run(command, cwd=TOP, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **kwargs)
