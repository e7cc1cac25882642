# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon says of itself, and what the kernel charges it for."""
import json
import os
import re
import signal

from checks import MNT, eventually

CONTROL = f'{MNT}/.foldfs'


def control(point=None):
    """The control file of a mount."""
    return f'{point}/.foldfs' if point else CONTROL


def get(key, point=None):
    """One key as text."""
    return os.getxattr(control(point), f'user.foldfs.{key}').decode()


def number(key, point=None):
    """One key as a number."""
    return int(get(key, point))


def put(key, value, point=None):
    """Set a knob."""
    os.setxattr(control(point), f'user.foldfs.{key}', str(value).encode())


def stats(point=None):
    """All keys at once, from the JSON."""
    return json.loads(get('stats', point))


def table(key, point=None):
    """A key that is a table: a dict of texts for each row."""
    return [dict(field.split('=', 1) for field in row.split(' '))
            for row in get(key, point).splitlines()]


def of_file(path, key):
    """A key of one file, as text."""
    return os.getxattr(path, f'user.foldfs.file.{key}').decode()


def freeze(pid):
    """Stop it, all of its threads, which takes a moment; SIGCONT lets go."""
    def is_frozen():
        states = []
        for thread in os.listdir(f'/proc/{pid}/task'):
            try:
                with open(f'/proc/{pid}/task/{thread}/stat', 'rb') as file:
                    states.append(file.read().rpartition(b') ')[2][:1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
        return set(states) <= {b'T', b't'}
    os.kill(pid, signal.SIGSTOP)
    eventually(is_frozen, f'{pid} has stopped')


def charges(pid):
    """Bytes of RAM that the kernel charges the process for, by what they
    are: its anonymous memory, its page tables, and every page of each memfd,
    mapped at the moment or not."""
    found = {'anonymous': _kib(pid, 'smaps_rollup', 'Pss_Anon:'),
             'page tables': _kib(pid, 'status', 'VmPTE:')}
    for fd in os.listdir(f'/proc/{pid}/fd'):
        path = f'/proc/{pid}/fd/{fd}'
        try:
            name = os.readlink(path)
            if name.startswith('/memfd:'):
                found[name.split()[0]] = os.stat(path).st_blocks * 512
        except FileNotFoundError:
            continue
    return found


def _kib(pid, name, field):
    with open(f'/proc/{pid}/{name}', encoding='ascii') as lines:
        return sum(int(line.split()[1]) << 10 for line in lines
                   if line.startswith(field))


def charged(pid):
    """The sum of it."""
    return sum(charges(pid).values())


def memfd_bytes(pid):
    """What the memfds of the process hold."""
    return sum(n for name, n in charges(pid).items()
               if name.startswith('/memfd:'))


def pid():
    """The daemon of the case's mount."""
    return int(os.environ['DAEMON_PID'])


def declared_keys():
    """{name: (kind, access)} as include/foldfs/keys.def declares them."""
    here = os.path.dirname(os.path.abspath(__file__))
    found = {}
    with open(f'{here}/../../../include/foldfs/keys.def', encoding='utf-8') as lines:
        for line in lines:
            match = re.match(r'KEY\((\w+),\s*(\w+),\s*(\w+),\s*(\w+)', line)
            if match:
                found[match[1]] = (match[2], match[4])
    return found
