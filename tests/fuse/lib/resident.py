# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel knows of a process under memory pressure: what of it is
locked, what its threads may do to get memory, how often they had to wait
for a page."""
import ctypes
import os
import re

CAP_SYS_RESOURCE = 24
# PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE.
FLUSHER = 0x00180000


def may_flush():
    """Whether we, and so a daemon of ours, may become an I/O flusher."""
    with open('/proc/self/status', encoding='ascii') as lines:
        for line in lines:
            if line.startswith('CapEff:'):
                return int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1 == 1
    return False


def forgo():
    """The options that say what cannot be had here, with a comma before."""
    return '' if may_flush() else ',forgo=io_flusher+oom'


def stay():
    """Nothing of ours is swapped out any more: who stops the daemon of swap must
    not need it to let it go on."""
    current_and_future = 3
    ctypes.CDLL(None).mlockall(current_and_future)


def status(pid, name):
    """A number of /proc/PID/status; KiB where it is a size."""
    with open(f'/proc/{pid}/status', encoding='ascii') as lines:
        for line in lines:
            if line.startswith(name + ':'):
                return int(line.split()[1])
    raise KeyError(name)


def threads(pid):
    """{thread id: (name, flags, minor faults, major faults)}."""
    found = {}
    for tid in os.listdir(f'/proc/{pid}/task'):
        try:
            with open(f'/proc/{pid}/task/{tid}/stat',
                      encoding='utf-8') as file:
                text = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        name = text[text.index('(') + 1:text.rindex(')')]
        # From field 3, the state, on.
        fields = text[text.rindex(')') + 2:].split()
        found[int(tid)] = (name, int(fields[6]), int(fields[7]),
                           int(fields[9]))
    return found


def mappings(pid):
    """Each mapping of the process: (line, {field: KiB})."""
    found = []
    with open(f'/proc/{pid}/smaps', encoding='utf-8') as lines:
        for line in lines:
            if re.match(r'[0-9a-f]+-[0-9a-f]+ ', line):
                found.append((line.strip(), {}))
            elif line.rstrip().endswith(' kB'):
                name, kib = line.split(':')
                found[-1][1][name] = int(kib.split()[0])
    return found
