# SPDX-License-Identifier: GPL-2.0-or-later
"""Many files of 1 to 4096 bytes: speed, and the RAM that one takes."""
import names
import passthrough
from case import Case, Metric, Target

RECORDS = ('each file has its records in the daemon, as they are; an inode of ext4 is on the '
           'device, compressed as all that is there')

CODEC = 'a small file has little that a codec can take, and its records besides'


class Tiny(Case):
    """`names` fills files, reads them all back and compares, removes them.

    RAM is what is charged more than before the files were there, after the
    kernel gave back what it could: a peer's own tables, its pages, and what the
    kernel cannot forget."""
    name = 'tiny'
    title = 'many files of 1 to 4096 bytes of real data'
    peers = ('foldfs', 'tmpfs', 'ext4-zram', 'btrfs-lzo', passthrough.Passthrough.name)
    kinds = ('fill', 'check', 'unlink')
    metrics = [Metric(kind, 'us/file', 'low') for kind in kinds] + [
        Metric('memory', 'B/file', 'low')]
    targets = [
        Target('tiny files: RAM beside ext4 on zram', 'memory', against='ext4-zram', at_most=1,
               reason=RECORDS),
        Target('tiny files: RAM beside a tmpfs', 'memory', against='tmpfs', at_most=0.45,
               reason=CODEC),
        Target('tiny files: writing beside another FUSE file system, time', 'fill',
               against=passthrough.Passthrough.name, at_most=1,
               reason='each file is requests to a daemon, there as here')]

    def __init__(self, bench):
        super().__init__(bench)
        if bench.quick:
            self.peers = tuple(p for p in self.peers if p != 'btrfs-lzo')
        self.count = 3000 if bench.quick else 100000
        self.size = (256 if bench.quick else 1024) << 20
        self.budget = 19 if bench.quick else 180

    def begin(self):
        self.argv = [self.bench.program('names')]
        self.content = f'{self.bench.data}/mixed'

    def _names(self, peer, *kinds):
        done = peer.timed(self.argv + [peer.dir, str(self.count), self.content, *kinds])
        return {k: v / self.count * 1e6 for k, v in names.phases(done.stdout).items()}

    def _memory(self, peer):
        names.forget()
        return sum(peer.memory(reclaim=True).values())

    def prepare(self, peer):
        """What grows once, whatever is stored, is there before it is counted."""
        self._names(peer, 'fill', 'unlink')

    def run(self, peer, step):
        empty = self._memory(peer)
        values = self._names(peer, 'fill')
        values['memory'] = max(self._memory(peer) - empty, 0) / self.count
        values.update(self._names(peer, 'check', 'unlink'))
        return values


def cases(bench):
    yield Tiny(bench)
