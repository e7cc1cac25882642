# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples as they are kept, and the Markdown tables made of them."""
import json
import os
import platform
import re
import subprocess

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
            'targets': [], 'seconds': 0}


def add(record, step, peer, values):
    """One run's metrics."""
    for metric, value in values.items():
        record['steps'].setdefault(step, {}).setdefault(metric, {}).setdefault(
            peer, []).append(float(f'{value:.6g}'))


def value_of(record, step, metric, peer):
    """The median, or None."""
    samples = record['steps'].get(step, {}).get(metric, {}).get(peer)
    return median(samples) if samples else None


def judge(case, record, failed):
    """Fill in the record's targets: what was measured, met or why not."""
    for target in case.targets:
        value = value_of(record, target.step, target.metric, target.ours)
        reason = ''
        if failed:
            value = None
            reason = 'the case failed'
        elif target.against and value is not None:
            other = value_of(record, target.step, target.metric, target.against)
            if other:
                value /= other
            else:
                value = None
                reason = record['missing'].get(target.against, '')
        elif value is None:
            reason = record['missing'].get(target.ours, record['missing'].get('', ''))
        met = None if value is None else target.met(value)
        if met is False:
            reason = target.reason
        record['targets'].append({
            'text': target.text, 'step': target.step, 'metric': target.metric,
            'ours': target.ours, 'against': target.against, 'goal': target.goal(),
            'measured': value and float(f'{value:.3g}'), 'met': met, 'reason': reason})


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


def markdown(all_of_it):
    """Everything, a section for each case."""
    machine_ = all_of_it['machine']
    lines = ['<!-- SPDX-License-Identifier: GPL-2.0-or-later -->', '# Measured', '',
             f'`{all_of_it["command"]}`, {all_of_it["date"]}, {machine_["cpus"]} CPUs '
             f'({machine_["cpu"]}), {machine_["memory"] >> 30} GiB, Linux {machine_["kernel"]}, '
             f'{machine_["system"]}, commit {machine_["versions"]["commit"]}. Medians of at least '
             f'{all_of_it["rounds"]}, interleaved; in parentheses ours divided by theirs.', '']
    lines += targets(all_of_it)
    for name, record in all_of_it['cases'].items():
        lines += [f'## {name}: {record["title"]}', '']
        peers = list(record['peers'])
        if record['steps']:
            lines += _table(['step', 'metric'] + peers, _cells(record, peers))
        for peer, why in record['missing'].items():
            lines += [f'- {peer}: {why}']
        if record['missing']:
            lines.append('')
    return '\n'.join(lines).rstrip('\n') + '\n'


def targets(all_of_it):
    """The table of targets, those that are lost too."""
    rows = []
    for record in all_of_it['cases'].values():
        for t in record['targets']:
            measured = '-' if t['measured'] is None else f'{t["measured"]:g}'
            met = {True: 'met', False: '**missed**', None: 'not measured'}[t['met']]
            rows.append([t['text'], t['goal'], measured,
                         met + (': ' + t['reason'] if t['reason'] else '')])
    return list(_table(['target', 'goal', 'measured', ''], rows)) if rows else []


def readme(path, all_of_it):
    """Put the table of targets between the marks of a document."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        raise ValueError(f'{path} has no marks for the table')
    head, rest = text.split(BEGIN, 1)
    machine_ = all_of_it['machine']
    said = [f'`{all_of_it["command"]}`, {machine_["cpus"]} CPUs, Linux {machine_["kernel"]}, '
            f'{all_of_it["date"]}:', '']
    table = '\n'.join([BEGIN, '', *said, *targets(all_of_it), END])
    with open(path, 'w', encoding='utf-8') as file:
        file.write(head + table + rest.split(END, 1)[1])


def save(path, all_of_it):
    """JSON, a line for each list of samples."""
    text = json.dumps(all_of_it, indent=1, ensure_ascii=False)
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
