# SPDX-License-Identifier: GPL-2.0-or-later
"""The private world of a case, and the promise that nothing of it stays.

Three processes: the runner waits outside; below it `init`, process 1 of a
new pid namespace with a mount namespace of its own, which never touches the
mount and so can always be killed; below that the inside runner, which mounts
and runs the case and may block on a hung daemon.  When init ends, the kernel
kills everything in the namespace, the daemon included, which aborts its FUSE
connection and wakes whoever was stuck on it; the mounts go with the last
process.  That holds for SIGKILL of the runner too (PDEATHSIG).
"""
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time

import inside
import swapping

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_REC_PRIVATE = 0x4000 | 0x40000
PR_SET_PDEATHSIG = 1
# How long the inside may take after its own time limit, to clean up.
GRACE = 90
SOCKETS = '/run/foldfs'
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL,
           signal.SIGFPE)

libc = ctypes.CDLL(None, use_errno=True)


def run(case):
    """Run one case; what the process is to exit with."""
    daemon = os.environ.get('FOLDFS', '')
    if inside.mount.FS == 'foldfs' and not os.access(daemon, os.X_OK):
        print(f'FAIL {case.name}: FOLDFS="{daemon}" does not name the daemon')
        return 2
    reason = inside.why_not(case)
    if reason:
        print(f'skip {case.name}: {reason}')
        return 77
    # Ordinary users are to see what cases make, however private ours are.
    os.umask(0o022)
    base = os.environ.get('TMPDIR', '/tmp')
    work = tempfile.mkdtemp(prefix=f'foldfs-{case.name}-', dir=base)
    os.chmod(work, 0o755)
    try:
        return _outside(case, work)
    finally:
        swapping.take_down(work, inside.mount.PATIENCE)
        _remove(work)


def _remove(work):
    """Take the work directory away; a mount point of a namespace that is
    still being torn down is busy for a moment."""
    for _ in range(100):
        shutil.rmtree(work, ignore_errors=True)
        if not os.path.exists(work):
            break
        time.sleep(0.05)


def _outside(case, work):
    sys.stdout.flush()
    runner = os.getpid()
    if libc.unshare(CLONE_NEWPID) != 0:
        return _no_namespace(case)
    pid = os.fork()
    if pid == 0:
        _die_with_parent()
        code = 1
        try:
            code = _init(case, work, runner)
        finally:
            sys.stdout.flush()
            os._exit(code)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(pid, signal.SIGTERM))
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _no_namespace(case):
    print(f'skip {case.name}: no private namespaces here: '
          + os.strerror(ctypes.get_errno()))
    return 77


def _die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _init(case, work, runner):
    """Process 1: start the inside, reap what is orphaned, keep the time."""
    # Not in the runner: the mounts are to go when the last process here goes.
    if libc.unshare(CLONE_NEWNS) != 0:
        return _no_namespace(case)
    libc.mount(b'none', b'/', None, MS_REC_PRIVATE, None)
    libc.mount(b'proc', b'/proc', b'proc', 0, None)
    _own_sockets()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = inside.main(case, work, runner)
        finally:
            sys.stdout.flush()
            os._exit(code)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(pid, signal.SIGTERM))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return _reap_until(case, pid, time.monotonic() + inside.limit(case) + GRACE)


def _own_sockets():
    """A directory for control sockets of the case's own: those of killed
    daemons are not to stay on the machine."""
    try:
        os.makedirs(SOCKETS, 0o755, exist_ok=True)
    except OSError:
        return
    libc.mount(b'none', SOCKETS.encode(), b'tmpfs', 0, b'mode=755')


def _reap_until(case, inside_pid, deadline):
    crashed = []
    while True:
        pid, status = _reap(deadline)
        if pid == 0:
            print(f'FAIL {case.name}: stuck, and killed from outside')
            return 1
        code = os.waitstatus_to_exitcode(status)
        if pid == inside_pid:
            break
        if -code in CRASHES:
            crashed.append(f'an orphan process died of signal {-code}')
    if code == 0 and crashed:
        print(f'FAIL {case.name}: ' + '; '.join(crashed))
        return 1
    return code if code >= 0 else 128 - code


def _reap(deadline):
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid != 0:
            return pid, status
        left = deadline - time.monotonic()
        if left <= 0:
            return 0, 0
        signal.sigtimedwait([], min(left, 0.05))
