# SPDX-License-Identifier: GPL-2.0-or-later
"""Run foldctl as users do: what it prints, what it says, how it ends."""
import json
import os
import subprocess

from checks import Wrong, eq, eventually, ok
from mount import PATIENCE

FOLDCTL = os.environ['FOLDCTL']
FAILED, USAGE, NO_MOUNT, NO_ANSWER = 1, 2, 3, 4
# A daemon on a machine that does ten other things may take this long to answer.
PATIENT = ('--timeout', '30')


def patient(words):
    """These, with time for the daemon unless the case says how much; a check
    has more by itself."""
    if any(str(word).startswith('--timeout') for word in words) or \
            'check' in words[:1]:
        return words
    return (*PATIENT, *words)


def foldctl(*words, **how):
    """The finished process; the environment has no NO_COLOR of ours."""
    how = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, **how}
    return subprocess.run([FOLDCTL, *patient(words)], text=True,
                          timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, check=False, **how)


def said(*words, **how):
    """What it prints when it works; nothing may be on stderr."""
    done = foldctl(*words, **how)
    if done.returncode != 0 or done.stderr:
        raise Wrong(f'foldctl {words}: {done.returncode}, {done.stderr!r}')
    return done.stdout


def told(*words, **how):
    """The JSON it prints."""
    return json.loads(said(*words, **how))


def refused(code, words, *says, **how):
    """It ends with that code, and stderr has all of this in a line or two."""
    done = foldctl(*words, **how)
    eq(done.returncode, code, f'foldctl {words}: {done.stderr!r}: exit code')
    for text in says:
        ok(text in done.stderr, f'foldctl {words} says {done.stderr!r}, '
           f'want {text!r} in it')
    ok(done.stderr.startswith('foldctl: '),
       f'foldctl {words} says who it is: {done.stderr!r}')
    return done.stderr


def _others():
    """Mounts of foldfs that are not the case's, the last one first."""
    with open('/proc/self/mountinfo', encoding='utf-8') as lines:
        points = [line.split()[4] for line in lines
                  if ' - fuse.foldfs ' in line]
    return [point for point in points[::-1]
            if not point.startswith(os.environ['WORK'])]


def alone():
    """Take other mounts of the machine out of this private namespace, so
    that the case's is the only one."""
    for point in _others():
        # It may be gone by now: whoever made it may take it down.
        subprocess.run(['umount', '-l', point], check=False)
    eq(_others(), [], 'mounts that are not the case\'s')


def mount_id(point):
    """The minor number of the device, which names the socket."""
    with open('/proc/self/mountinfo', encoding='utf-8') as lines:
        for line in lines:
            if line.split()[4] == point:
                return int(line.split()[2].split(':')[1])
    raise Wrong(f'{point} is not mounted')


def answers(point):
    """The daemon answers on its socket: a moment after the mount does."""
    eventually(lambda: foldctl('get', point, 'pid').returncode == 0,
               f'an answer of {point}')
    return point
