# SPDX-License-Identifier: GPL-2.0-or-later
"""Names: many empty files; and what find and git ask of a tree."""
import os

import data
import names
import passthrough
from case import Case, Metric, Target, Wrong

OURS = ('foldfs', 'foldfs-uring')
PEERS = ('foldfs', 'tmpfs', 'ext4-zram', 'btrfs-lzo', passthrough.Passthrough.name)
OF_FUSE = passthrough.Passthrough.name

# What the kernel makes of it (ARCHITECTURE.md, Measured).
REQUESTS = {
    'create': 'three requests: attributes of the directory, the name, the file',
    'rename': 'three requests: attributes of the directory, the name, the change',
    'unlink': 'three requests: attributes of the directory, the name, forgetting the file',
}
ASKED = ('what the kernel knows by itself, it is not asked for; the rest is a request to a daemon, '
         'and a tmpfs has none')
# A tmpfs has nowhere to read them from again, so its names are never forgotten.
FORGOTTEN = ('each name and its attributes are asked of the daemon again; those of a tmpfs '
             'cannot be forgotten')
OTHER_FUSE = 'each of these is requests to a daemon, there as here'
KNOWN = 'the kernel knows the answer, and asks neither daemon'


def chosen(peers, bench):
    """The quick form has no time for those without a target."""
    return tuple(p for p in peers if not (bench.quick and p.startswith('btrfs')))


class Names(Case):
    """`names` makes, asks for, lists, renames and removes files, one by one."""
    name = 'metadata'
    title = 'many empty files, 1000 to a directory: each of them once'
    peers = (*OURS, *PEERS[1:])
    kinds = ('create', 'stat', 'list', 'rename', 'unlink')
    metrics = [Metric(kind, 'us/file', 'low') for kind in kinds]
    targets = [Target(f'{kind} of many files, time beside a tmpfs', kind, ours=OURS,
                      against='tmpfs', at_most=4, reason=REQUESTS.get(kind, ASKED))
               for kind in kinds] + [
        Target(f'{kind} of many files, time beside another FUSE file system', kind, ours=OURS,
               against=OF_FUSE, at_most=1,
               reason=KNOWN if kind == 'stat' else OTHER_FUSE) for kind in kinds]

    def __init__(self, bench):
        super().__init__(bench)
        self.peers = chosen(self.peers, bench)
        self.count = 5000 if bench.quick else 100000
        self.size = 512 << 20
        self.budget = 18 if bench.quick else 120

    def begin(self):
        self.program = self.bench.program('names')
        self.content = f'{self.bench.data}/mixed'

    def run(self, peer, step):
        done = peer.timed([self.program, peer.dir, str(self.count), self.content, *self.kinds])
        return {k: v / self.count * 1e6 for k, v in names.phases(done.stdout).items()}

    def verify(self, peer):
        left = [n for n in os.listdir(peer.dir) if n.startswith('d')]
        if left:
            raise Wrong(f'{peer.name}: {left} is there after everything was removed')


class Walks(Case):
    """find with a stat of each file, and git status, of a tree; with what the
    kernel remembers, and after it has forgotten."""
    name = 'walks'
    title = 'find and git status of a tree of files'
    peers = PEERS
    programs = ('git',)
    steps = ('find', 'find, names forgotten', 'git status', 'git status, names forgotten')
    metrics = [Metric('time', 's', 'low')]
    targets = [Target(f'{step}: time beside a tmpfs', 'time', step, against='tmpfs', at_most=4,
                      reason=FORGOTTEN if 'forgotten' in step else ASKED) for step in steps]

    def __init__(self, bench):
        super().__init__(bench)
        self.peers = chosen(self.peers, bench)
        self.mib = 15 if bench.quick else 100
        self.size = 512 << 20
        self.budget = 16 if bench.quick else 90

    def begin(self):
        self.paths = data.tree(self.mib)
        self.archive = f'{self.bench.scratch}/walks.tar'
        data.pack(self.paths, self.archive)

    def end(self):
        os.unlink(self.archive)

    def prepare(self, peer):
        self.repository = 'repository'
        top = f'{peer.dir}/{self.repository}'
        os.mkdir(top)
        peer.client(['tar', '-xf', self.archive, '-C', top])
        # Twice: the first status after an add looks into every file.
        peer.client(['sh', '-ec', 'git init -q . && git add -A && git -c user.name=bench '
                     '-c user.email=bench@localhost commit -q -m tree && git status && sleep 1.1'
                     ' && touch .git/index && git status'], cwd=top, env=self.environment())

    @staticmethod
    def environment():
        """git takes nothing of the user's own settings."""
        return {**os.environ, 'GIT_CONFIG_GLOBAL': '/dev/null', 'GIT_CONFIG_SYSTEM': '/dev/null',
                'HOME': '/nonexistent'}

    def before(self, peer, step):
        if step.endswith('forgotten'):
            names.forget()

    def run(self, peer, step):
        top = f'{peer.dir}/{self.repository}'
        if step.startswith('find'):
            done = peer.timed(['find', '.', '-path', './.git', '-prune', '-o', '-type', 'f',
                               '-size', '+0', '-print'], cwd=top)
            want = sum(os.path.getsize(p) > 0 for p in self.paths)
            found = len(done.stdout.splitlines())
            if found != want:
                raise Wrong(f'{peer.name}: find has {found} of {want} files')
        else:
            done = peer.timed(['git', 'status', '--porcelain'], cwd=top, env=self.environment())
            if done.stdout:
                raise Wrong(f'{peer.name}: git sees changes: {done.stdout[:200]}')
        return {'time': done.seconds}

    def verify(self, peer):
        peer.client(['git', 'fsck', '--full', '--no-progress'],
                    cwd=f'{peer.dir}/{self.repository}', env=self.environment())


def cases(bench):
    yield Names(bench)
    yield Walks(bench)
