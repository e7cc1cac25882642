# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory pressure on a swap file of ours, for cases of the swap suite: an
eater with four times what its control group may have, while workers come and
go, the daemon stands still for a while, and swap is taken away and given back.
"""
import os
import signal
import threading
import time

from checks import MNT, WORK, Wrong, eq, eventually, ok, seeded, skip
from daemon import freeze
from files import MIB, PAGE
from program import Taken
from resident import forgo, status
from swapping import Beats, Eater, Group, Kills, Swap, hung_tasks, why_not
from talk import Talk, path_of

BUILT = os.environ.get('SWAP_PROGRAMS') or \
    os.path.join(os.path.dirname(os.environ['FOLDFS_BUILT']), 'tests/swap')
EATER, HEARTBEAT = f'{BUILT}/eater', f'{BUILT}/heartbeat'
# A machine that does ten other things may be as slow as this, but not hang.
BEAT_MOST_MS = 60000
CHURN_S = 0.05
FOREVER_S = 100000
# What is nobody's eater.
OTHERS = MIB
# What the kernel discards in one piece, at most.
CLUSTER = 2 * MIB


def swap_file(size):
    """The one file of the mount."""
    path = f'{MNT}/swap'
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    os.truncate(path, size)
    return path


def kept(swap):
    """Bytes that may stay behind what was freed: discards are for whole
    clusters, and a page that somebody else has there keeps one."""
    return (swap.used() or 0) // PAGE * CLUSTER


class Keys:
    """The daemon's keys by its control socket: the mount is left alone."""

    def __init__(self):
        # It comes when the mount answers, or a moment later.
        path = path_of(MNT)
        eventually(lambda: os.path.exists(path), 'the control socket')
        self.talk = Talk(path)
        self.lock = threading.Lock()

    def ask(self, line):
        """A request and its answer."""
        with self.lock:
            return self.talk.ask(line)

    def get(self, key):
        """One key."""
        return self.ask(f'get {key}')['value']

    def all(self, *keys):
        """Some of them."""
        return {key: self.get(key) for key in keys}


class Churn(threading.Thread):
    """Workers come and go until told to end."""

    def __init__(self, rng):
        super().__init__(daemon=True)
        self.rng = rng
        self.over = threading.Event()
        self.changes = self.refused = 0
        self.keys = Keys()

    def run(self):
        while not self.over.wait(CHURN_S):
            n = self.rng.randrange(2, 6)
            answer = self.keys.ask(f'set workers {n}')
            # Where there is no room for one more, that is the answer.
            if answer['ok']:
                self.changes += 1
            else:
                self.refused += 1

    def end(self):
        """The last change has been answered."""
        self.over.set()
        self.join()


class Pressure:
    """All that takes part; put together, watched and taken down."""

    def __init__(self, eater_mib, mem_limit, extra=''):
        reason = why_not()
        if reason:
            skip(reason)
        self.rng = seeded()
        self.eater_mib = eater_mib
        self.limit = eater_mib * MIB // 4
        self.mount = Taken(f'size=1g,mem_limit={mem_limit},profile=swap'
                           f'{extra}{forgo()}')
        self.keys = Keys()
        self.pid = self.keys.get('pid')
        self.base = self.keys.get('mem_used_total')
        self.group = Group(WORK, self.limit)
        self.swap = Swap(swap_file(eater_mib * MIB * 3 // 2), WORK)
        self.eater = None
        self.hung, self.kills = hung_tasks(), Kills()
        self.peak = self.in_swap = self.nudges = 0

    def start(self, *words):
        """Swap on, and somebody who needs it, until end()."""
        self.swap.on()
        self.eater = Eater(EATER, self.group, '--mib', self.eater_mib,
                           '--threads', 3, '--seconds', FOREVER_S, '--seed',
                           self.rng.randrange(1 << 32), *words)

    def look(self):
        """The daemon is whole in RAM; what it takes."""
        eq(status(self.pid, 'VmSwap'), 0, 'VmSwap of the daemon')
        ok(status(self.pid, 'VmLck') >= status(self.pid, 'VmRSS') > 4096,
           'the daemon is locked')
        self.peak = max(self.peak, self.keys.get('mem_used_total'))
        self.in_swap = max(self.in_swap, self.swap.used() or 0)

    def watch(self, seconds):
        """Look at it for so long, or until the eater has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.eater.is_alive():
            self.look()
            self.nudges += self.group.nudge()
            time.sleep(0.1)

    def lives(self):
        """The eater does."""
        if not self.eater.is_alive():
            raise Wrong(f'the eater ended: {self.eater.end()}')

    def stand_still(self, seconds):
        """The daemon is stopped; whoever needs it waits, and goes on."""
        freeze(self.pid)
        try:
            time.sleep(seconds)
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def off_and_on(self):
        """Swapoff while the eater eats, with room to come back; then back."""
        self.group.limit(self.eater_mib * MIB * 2)
        begun = time.monotonic()
        self.swap.off()
        print(f'swapoff under load: {time.monotonic() - begun:.1f} s')
        eq(self.swap.used(), None, 'no longer swap')
        self.lives()
        self.swap.on()
        self.group.limit(self.limit)

    def end(self):
        """The eater ends well, and what it had is free; its results."""
        # It looks at all: what comes back need not send as much out.
        self.group.limit(self.eater_mib * MIB * 2)
        self.eater.process.terminate()
        self.watch(FOREVER_S)
        code, told, error = self.eater.end()
        print(f'eater: {told} {error}')
        eq(code, 0, f'eater: {error}')
        eq(told['bad'], 0, 'bad pages')
        if self.kills.count() > 0:
            raise Wrong(f'killed for want of memory: {self.kills.lines}')
        eq(hung_tasks(), self.hung, 'hung tasks')
        self.look()
        self.is_free_again()
        return told

    def is_free_again(self):
        """What the eater had was discarded when it ended.  Swap is for all of
        the machine: if others swapped much here, nothing can be said."""
        def gone():
            used = self.swap.used() or 0
            if used > OTHERS:
                print('others swap, too')
                return True
            most = self.eater_mib * MIB // 8 + kept(self.swap)
            gone.seen = (used, self.keys.get('pages_stored') * PAGE,
                         self.keys.get('pool_total_size'))
            return max(gone.seen[1:]) < most

        try:
            eventually(gone, 'what the eater had has gone')
        except Wrong:
            print('used, stored and held:', gone.seen)
            raise

    def close(self):
        """All down, in order; for the end of a case that went well."""
        self.swap.off()
        self.swap.detach()
        self.group.remove()
        self.kills.close()
        self.keys.talk.close()
        eventually(self._unmounted, 'unmounted')

    def _unmounted(self):
        # The loop device lets go of the file a moment after it was told to.
        self.mount.__exit__()
        return True


def suffer(seconds, stopped, eater_mib, mem_limit, rounds=1):
    """The whole of it; asserts what must hold, prints what it took."""
    it = Pressure(eater_mib, mem_limit, f',spill={WORK}/backing')
    with Beats(HEARTBEAT) as beats:
        it.start()
        churn = Churn(it.rng)
        churn.start()
        for _ in range(rounds):
            it.watch(seconds / rounds / 3)
            it.stand_still(stopped)
            it.watch(seconds / rounds / 3)
            it.off_and_on()
            it.watch(seconds / rounds / 3)
        churn.end()
        told = it.end()
    print(f'heartbeat: {beats.told}')
    print(f'{churn.changes} changes of workers, {churn.refused} refused; '
          f'{it.peak >> 20} MiB of RAM and {it.in_swap >> 20} of swap at most; '
          f'{it.nudges} nudges')
    keys = it.keys.all('failed_reads', 'failed_writes', 'decompress_fail',
                       'spill_errors', 'written_back_pages', 'spill_waits',
                       'notify_free', 'num_reads', 'num_writes')
    print(keys)
    for key in ('failed_reads', 'failed_writes', 'decompress_fail',
                'spill_errors'):
        eq(keys[key], 0, key)
    for key in ('written_back_pages', 'notify_free', 'num_reads'):
        ok(keys[key] > 0, f'{key} were part of it')
    ok(churn.changes > 0, 'workers came and went')
    ok(told['faults_major'] > told['pages'], 'it lived from swap')
    ok(beats.told['largest_gap_ms'] < BEAT_MOST_MS, 'others lived on')
    it.close()
    return beats.told, told
