# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples as they are kept, and the Markdown tables made of them."""
import json
import os
import platform
import re
import subprocess
import textwrap

from case import median

FORMAT = 1
BEGIN = '<!-- bench: made by `tests/bench/run`, do not edit -->'
END = '<!-- bench: end -->'


def _first_line(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError:
        return 'not installed'
    return ((done.stdout or done.stderr).strip().split('\n') or [''])[0]


def machine(foldfs):
    """What the figures were made on."""
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        models = re.findall(r'model name\s*:\s*(.*)', file.read())
    with open('/proc/meminfo', encoding='ascii') as file:
        memory = int(file.readline().split()[1]) << 10
    return {'cpus': len(os.sched_getaffinity(0)), 'cpu': (models or ['?'])[0], 'memory': memory,
            'kernel': platform.release(),
            'system': ' '.join(platform.freedesktop_os_release().get(k, '')
                               for k in ('PRETTY_NAME',)),
            'load': os.getloadavg()[0],
            'versions': {'foldfs': _first_line(foldfs, '--version'),
                         'fio': _first_line('fio', '--version'),
                         'nbdkit': _first_line('nbdkit', '--version'),
                         'btrfs': _first_line('mkfs.btrfs', '--version'),
                         'commit': _first_line('git', '-C', os.path.dirname(__file__), 'describe',
                                               '--always', '--dirty')}}


def of_case(case):
    """An empty record of a case."""
    return {'title': case.title, 'steps': {}, 'missing': {}, 'peers': {}, 'extra': {},
            'metrics': {m.name: {'unit': m.unit, 'better': m.better} for m in case.metrics},
            'targets': [], 'rounds': case.rounds, 'seconds': 0}


def add(record, step, peer, values):
    """One run's metrics."""
    for metric, value in values.items():
        record['steps'].setdefault(step, {}).setdefault(metric, {}).setdefault(
            peer, []).append(float(f'{value:.6g}'))


def value_of(record, step, metric, peer):
    """The median, or None."""
    samples = record['steps'].get(step, {}).get(metric, {}).get(peer)
    return median(samples) if samples else None


def _best(target, record):
    """(the best peer of those that are ours, its median or None)."""
    names = (target.ours,) if isinstance(target.ours, str) else target.ours
    found = [(value_of(record, target.step, target.metric, name), name) for name in names]
    found = [(value, name) for value, name in found if value is not None]
    if not found:
        return names[0], None
    best = max if record['metrics'][target.metric]['better'] == 'high' else min
    value, name = best(found)
    return name, value


def _measured(target, record):
    """(ours that is judged, value, its two sides in words, why there is none)."""
    missing = record['missing']
    name, ours = _best(target, record)
    if ours is None:
        return name, None, '', missing.get(name, missing.get('', ''))
    unit = record['metrics'][target.metric]['unit']
    if not target.against:
        return name, ours, '', ''
    theirs = value_of(record, target.step, target.metric, target.against)
    if not theirs:
        return name, None, '', missing.get(target.against, '')
    chosen = '' if isinstance(target.ours, str) else f' ({name})'
    return name, ours / theirs, f'{human(ours, unit)}{chosen}, {human(theirs, unit)}', ''


def _rounded(target, value, met):
    """Three digits, or as many as leave it on its side of the goal."""
    for digits in (3, 4, 5, 6):
        rounded = float(f'{value:.{digits}g}')
        if target.met(rounded) == met:
            return rounded
    return value


def judge(case, record, failed):
    """Fill in the record's targets: what was measured, met or why not."""
    for target in case.targets:
        name, value, sides, reason = _measured(target, record)
        if failed:
            value, sides, reason = None, '', 'the case failed'
        met = None if value is None else target.met(value)
        if met is False:
            reason = target.reason
        record['targets'].append({
            'text': target.text, 'step': target.step, 'metric': target.metric,
            'ours': name, 'against': target.against, 'goal': target.goal(),
            'measured': value and _rounded(target, value, met), 'sides': sides, 'met': met,
            'reason': reason})


def human(value, unit):
    """Three digits, and a unit that fits."""
    if unit == 'B':
        for prefix in ('B', 'KiB', 'MiB', 'GiB'):
            if value < 1024 or prefix == 'GiB':
                break
            value /= 1024
        unit = prefix
    text = f'{value:.0f}' if value >= 100 else f'{value:.3g}'
    return f'{text} {unit}'.strip()


def _table(head, rows):
    yield '| ' + ' | '.join(head) + ' |'
    yield '|' + '---|' * len(head)
    for row in rows:
        yield '| ' + ' | '.join(row) + ' |'
    yield ''


def _cells(record, peers):
    """A row for each step and metric: the medians, ours / theirs behind."""
    for step, metrics in record['steps'].items():
        for metric, samples in metrics.items():
            unit = record['metrics'].get(metric, {}).get('unit', '')
            ours = median(samples[peers[0]]) if samples.get(peers[0]) else None
            row = [step or '-', metric]
            for peer in peers:
                if not samples.get(peer):
                    row.append('-')
                    continue
                value = median(samples[peer])
                ratio = f' ({ours / value:.2f})' if ours and value and peer != peers[0] else ''
                row.append(human(value, unit) + ratio)
            yield row


def _other_rounds(everything):
    """Which cases have another number of rounds than the rest, in words."""
    others = {}
    for name, record in everything['cases'].items():
        if record.get('rounds') not in (None, everything['rounds']):
            others.setdefault(record['rounds'], []).append(name)
    return '; '.join(f'{number} of {", ".join(names)}' for number, names in sorted(others.items()))


def _made_on(everything):
    """A paragraph on the machine and the command."""
    machine_ = everything['machine']
    others = _other_rounds(everything)
    without = everything.get('data', {}).get('missing')
    text = (f'`{everything["command"]}`, {everything["date"]}, commit '
            f'{machine_["versions"]["commit"]}; {machine_["cpus"]} CPUs ({machine_["cpu"]}), '
            f'{round(machine_["memory"] / 2**30)} GiB, Linux {machine_["kernel"]}, '
            f'{machine_["system"]}. Interleaved, medians of {everything["rounds"]}'
            + (f' ({others})' if others else '') + '; a ratio is ours divided by theirs.'
            + (f' The data has no {", ".join(without)}.' if without else '')
            + (' Each run was put behind $BENCH_WRAP.' if everything['wrapped'] else '')
            # Of figures that were made anew by themselves, by hand.
            + everything.get('note', ''))
    return [*textwrap.wrap(text, 80, break_on_hyphens=False), '']


def markdown(everything):
    """Everything, a section for each case."""
    lines = ['<!-- SPDX-License-Identifier: GPL-2.0-or-later -->', '# Measured', '',
             *_made_on(everything), *targets(everything)]
    for name, record in everything['cases'].items():
        lines += [f'## {name}: {record["title"]}', '']
        peers = list(record['peers'])
        if record['steps']:
            lines += _table(['step', 'metric'] + peers, _cells(record, peers))
        for peer, why in record['missing'].items():
            lines += [f'- {peer or "the case"}: {why}']
        if record['missing']:
            lines.append('')
    return '\n'.join(lines).rstrip('\n') + '\n'


def targets(everything):
    """The table of targets, those that are lost too."""
    rows = []
    for record in everything['cases'].values():
        for t in record['targets']:
            measured = '-' if t['measured'] is None else f'{t["measured"]:g}'
            met = {True: 'met', False: '**missed**', None: 'not measured'}[t['met']]
            rows.append([t['text'], t['goal'], measured, t['sides'],
                         met + (': ' + t['reason'] if t['reason'] else '')])
    return list(_table(['target', 'goal', 'measured', 'ours, theirs', ''], rows)) if rows else []


def check_marks(path):
    """ValueError if the table has no place in a document."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        raise ValueError(f'{path} has no marks for the table')


def between_marks(text, everything):
    """A document with the table of targets between its marks."""
    if BEGIN not in text or END not in text:
        raise ValueError('the document has no marks for the table')
    head, rest = text.split(BEGIN, 1)
    return '\n'.join([head + BEGIN, '', *_made_on(everything), *targets(everything),
                      END + rest.split(END, 1)[1]])


def readme(path, everything):
    """Put the table of targets between the marks of a document."""
    with open(path, encoding='utf-8') as file:
        text = between_marks(file.read(), everything)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def save(path, everything):
    """JSON, a line for each list of samples."""
    everything = {'licence': 'SPDX-License-Identifier: GPL-2.0-or-later', **everything}
    text = json.dumps(everything, indent=1, ensure_ascii=False)
    text = re.sub(r'\[\s+([-0-9.e+,\s]+?)\s+\]',
                  lambda m: '[' + ' '.join(m.group(1).split()) + ']', text)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text + '\n')


def load(path):
    """What save() wrote."""
    with open(path, encoding='utf-8') as file:
        everything = json.load(file)
    if everything['format'] != FORMAT:
        raise ValueError(f'{path} is of format {everything["format"]}')
    return everything
