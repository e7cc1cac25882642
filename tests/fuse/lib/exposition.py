# SPDX-License-Identifier: GPL-2.0-or-later
"""Read metrics as strictly as promtool and OpenMetrics' own parser do."""
import math
import re

from checks import Wrong

NAME = re.compile(r'[a-zA-Z_][a-zA-Z0-9_]*\Z')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
SAMPLE = re.compile(r'([^{ ]+)(?:\{(.*)\})? (\S+)\Z')
TYPES = ('counter', 'gauge', 'info', 'histogram')
PARTS = {'counter': ('_total',), 'gauge': ('',), 'info': ('_info',),
         'histogram': ('_bucket', '_count', '_sum')}
OLD_PARTS = {**PARTS, 'counter': ('',)}


class Family:
    """One metric: what was said of it and {(part, labels): value}."""

    def __init__(self, name):
        self.name = name
        self.said = {}
        self.samples = {}

    @property
    def type(self):
        """As in its TYPE line."""
        return self.said.get('TYPE')


def need(condition, what):
    """The rule holds."""
    if not condition:
        raise Wrong(f'metrics: {what}')


def _unescape(value):
    return re.sub(r'\\(.)', lambda m: '\n' if m[1] == 'n' else m[1], value)


def _labels(text):
    """The labels of a sample as a sorted tuple of pairs."""
    found, at = [], 0
    while at < len(text):
        match = LABEL.match(text, at)
        need(match, f'labels {text!r} from {at}')
        need(not match[1].startswith('__'), f'label {match[1]}')
        found.append((match[1], _unescape(match[2])))
        at = match.end()
        if at < len(text):
            need(text[at] == ',' and at + 1 < len(text), f'labels {text!r}')
            at += 1
    names = [name for name, _ in found]
    need(len(set(names)) == len(names), f'a label twice: {text!r}')
    return tuple(sorted(found))


class Reader:
    """Takes the lines in their order."""

    def __init__(self, old):
        self.old = old
        self.families = {}
        self.now = None

    def comment(self, line):
        """A HELP, TYPE or UNIT line; a new name begins a new family."""
        words = line.split(' ', 3)
        need(len(words) == 4 and words[0] == '#', f'{line!r}')
        _, what, name, value = words
        need(what in ('HELP', 'TYPE') or what == 'UNIT' and not self.old,
             f'{line!r}')
        need(NAME.match(name), f'name {name}')
        if not self.now or self.now.name != name:
            need(name not in self.families, f'{name} comes back')
            self.now = self.families[name] = Family(name)
        need(not self.now.samples, f'{what} of {name} after samples')
        need(what not in self.now.said, f'{what} of {name} twice')
        need(value.strip() == value != '', f'{line!r}')
        self.now.said[what] = value

    def sample(self, line):
        """A value of the family that was begun last."""
        match = SAMPLE.match(line)
        need(match, f'{line!r}')
        family = self.now
        need(family and match[1].startswith(family.name),
             f'{match[1]} without a family')
        part = match[1][len(family.name):]
        parts = (OLD_PARTS if self.old else PARTS).get(family.type, ())
        if self.old and family.name.endswith('_info'):
            parts = ('',)
        need(part in parts, f'{match[1]} in {family.type} {family.name}')
        labels = _labels(match[2] or '')
        need((part, labels) not in family.samples, f'{line!r} twice')
        try:
            value = float(match[3])
        except ValueError:
            raise Wrong(f'metrics: {line!r} has no number') from None
        need(not math.isnan(value), f'{line!r}')
        family.samples[part, labels] = value


def _check_histogram(family):
    """Each histogram grows, ends with +Inf, and agrees with its count."""
    rows = {}
    for (part, labels), value in family.samples.items():
        rest = tuple(l for l in labels if l[0] != 'le')
        row = rows.setdefault(rest, {'buckets': []})
        if part == '_bucket':
            row['buckets'].append((dict(labels)['le'], value))
        else:
            row[part] = value
    for labels, row in rows.items():
        bounds = [float(le) for le, _ in row['buckets']]
        counts = [count for _, count in row['buckets']]
        need(bounds == sorted(set(bounds)), f'bounds of {labels}')
        need(counts == sorted(counts), f'buckets of {labels} go back')
        need(row['buckets'] and row['buckets'][-1][0] == '+Inf',
             f'{labels} has no +Inf')
        need(row.get('_count') == counts[-1], f'_count of {labels}')
        need(row.get('_sum', -1) >= 0, f'_sum of {labels}')


def _check(family, old):
    """The rules that need all of a family."""
    name, kind = family.name, family.type
    need(kind in TYPES and family.said.get('HELP'), f'{name} says too little')
    total = name.endswith('_total')
    need(total == (old and kind == 'counter'), f'{name} is a {kind}')
    need(not old or kind != 'info', f'{name} is an info')
    unit = family.said.get('UNIT')
    need(not unit or name.endswith(f'_{unit}'), f'{name} in {unit}')
    for unit in ('bytes', 'seconds'):
        need(f'_{unit}_' not in name.removesuffix('_total'),
             f'{name}: its unit is not at its end')
    for (_, labels), value in family.samples.items():
        need(kind == 'histogram' or 'le' not in dict(labels), f'le in {name}')
        need(kind == 'gauge' or value >= 0, f'{name} below 0')
        need(kind != 'info' or value == 1, f'{name} is not 1')
    if kind == 'histogram':
        _check_histogram(family)


def parse(text, old=False):
    """{name: Family}; Wrong when a rule is broken. Old: Prometheus' text
    format before OpenMetrics."""
    need(text.endswith('\n'), 'the last line does not end')
    lines = text.split('\n')[:-1]
    if not old:
        need(lines[-1] == '# EOF', 'no EOF')
        lines.pop()
    reader = Reader(old)
    for line in lines:
        if line.startswith('#'):
            reader.comment(line)
        else:
            reader.sample(line)
    for family in reader.families.values():
        _check(family, old)
    return reader.families
