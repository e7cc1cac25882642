# SPDX-License-Identifier: GPL-2.0-or-later
"""A memory control group of the case's own, for one daemon alone: what the
kernel charges it, its own memory included, not what a process says of itself."""
import os

from checks import WORK, eventually, skip

# What the kernel charges each CPU in advance: 64 pages.
AHEAD = 64 * 4096
ENTER = 'echo 0 >"$0" && exec "$@"'


def _groups():
    """(folder to make one in, file of the peak), best first."""
    with open('/proc/self/cgroup', encoding='ascii') as lines:
        for line in lines:
            _, controllers, path = line.rstrip('\n').split(':', 2)
            if 'memory' in controllers.split(','):
                yield (f'/sys/fs/cgroup/memory{path}',
                       'memory.max_usage_in_bytes')
    yield '/sys/fs/cgroup/memory', 'memory.max_usage_in_bytes'
    yield '/sys/fs/cgroup', 'memory.peak'


class MemoryGroup:
    """Make it; skips the case where that cannot be done."""

    def __init__(self, name):
        for top, peak in _groups():
            folder = f'{top}/foldfs-{os.getpid()}-{os.path.basename(WORK)}-{name}'
            try:
                os.mkdir(folder)
            except OSError:
                continue
            if os.access(f'{folder}/{peak}', os.R_OK):
                self.folder, self._peak = folder, peak
                return
            os.rmdir(folder)
        skip('no memory control group can be made here, or it tells no peak')

    def command(self, *argv):
        """What runs a command inside, with nothing of what came before."""
        return ['sh', '-c', ENTER, f'{self.folder}/cgroup.procs', *argv]

    def peak(self):
        """The most bytes that were charged."""
        with open(f'{self.folder}/{self._peak}', encoding='ascii') as file:
            return int(file.read())

    def _gone(self):
        try:
            os.rmdir(self.folder)
        except OSError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        eventually(self._gone, f'{self.folder} is empty')
