# SPDX-License-Identifier: GPL-2.0-or-later
"""What a case is: peers, steps, metrics, targets; and how one ends badly.

A case is measured in steps. For each step the rounds go A B A B over the peers,
so that what the machine does meanwhile falls on all of them. A module in
`cases/` has `def cases(bench)`, which yields the cases of that form.
"""
import dataclasses


class CannotRun(Exception):
    """Why this machine has no such peer or case; said, and not a failure."""


class Wrong(Exception):
    """What was read back is not what was written: a failure."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number that a run yields. `better`: 'high' or 'low'."""
    name: str
    unit: str
    better: str


@dataclasses.dataclass(frozen=True)
class Target:
    """What `metric` of `ours` should be in `step`.

    With `against`, the ratio ours / against is judged, without it the value
    itself. `ours` may be several peers: the best of them counts, and the row
    names it. `text` is what the row is called, `reason` why it is missed, where
    that is known: it is printed only if it is. Without figures, for they
    would be those of another day.
    """
    text: str
    metric: str
    step: str = ''
    ours: str | tuple = 'foldfs'
    against: str = ''
    at_least: float = None
    at_most: float = None
    reason: str = ''

    def met(self, value):
        return ((self.at_least is None or value >= self.at_least)
                and (self.at_most is None or value <= self.at_most))

    def goal(self):
        if self.at_least is not None:
            return f'>= {self.at_least:g}'
        return f'<= {self.at_most:g}'


class Case:
    """Subclass this, or fill in an instance's fields.

    name      of files and of the command line: letters, digits, -
    title     what the table says
    peers     names from lib/peer.py; the first is ours. A peer that cannot be
              had is left out, with the reason in the results
    size      bytes of files the peer must have room for
    options   {peer: mount options added to its own; features of ext4-zram}
    programs  what must be installed, beside what the peers need
    steps     labels; each is measured in rounds of its own
    rounds    how many; the runner's own number unless it is set
    metrics   list of Metric
    targets   list of Target
    budget    seconds that it should take, for --list
    """
    name = ''
    title = ''
    peers = ('foldfs',)
    size = 256 << 20
    options = {}
    programs = ()
    steps = ('',)
    rounds = None
    metrics = ()
    targets = ()
    budget = 10

    def __init__(self, bench):
        """`bench` has: quick, rounds, seconds (of one run, where a case
        can choose), data (the directory of lib/data.py,
        made when first asked for), scratch (a directory on a tmpfs),
        program(name) (the path of one of our helpers, built)."""
        self.bench = bench

    def why_not(self):
        """A text if this case cannot run here at all."""
        return ''

    def begin(self):
        """Once, before any peer is up: what is the same for all."""

    def prepare(self, peer):
        """Once for each peer, when it is up."""

    def skip(self, peer, step):
        """True for a step that would tell nothing of a peer."""
        return False

    def before(self, peer, step):
        """Not timed, before each run."""

    def run(self, peer, step):
        """One run: {metric name: number}. What takes the time is a command
        run by peer.timed(), so that it can be wrapped."""
        raise NotImplementedError

    def verify(self, peer):
        """After all rounds: raise Wrong if the data is not what it should be."""

    def extra(self, peer):
        """After verify: anything else worth keeping in the JSON."""
        return {}

    def end(self):
        """Once, when all peers are down."""


def median(values):
    """Of any list that is not empty."""
    values = sorted(values)
    half = len(values) // 2
    if len(values) % 2:
        return values[half]
    return (values[half - 1] + values[half]) / 2
