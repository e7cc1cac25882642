# SPDX-License-Identifier: GPL-2.0-or-later
"""Bars of the medians and their spread, one SVG a metric, by gnuplot."""
import os
import re
import shutil
import subprocess
import tempfile
import textwrap

from case import median

COLOURS = ('#1b6ca8', '#9aa5b1', '#e07a3f', '#6a994e', '#b5838d', '#8d6cab')


def all_of(everything, directory, say):
    """A plot for each metric of each case that has samples."""
    if not shutil.which('gnuplot'):
        say('no plots: gnuplot is not installed')
        return
    for name, record in everything['cases'].items():
        metrics = sorted({m for step in record['steps'].values() for m in step})
        for metric in metrics:
            # Without a unit it is a figure made of another that is drawn.
            if not record['metrics'].get(metric, {}).get('unit'):
                continue
            mark = '' if len(metrics) == 1 else '-' + metric.replace(' ', '-').replace('/', '-')
            _bars(record, metric, f'{directory}/{name}{mark}.svg', f'{name}: {metric}')
        for peer, extra in record['extra'].items():
            if 'over time' in extra:
                _lines(extra['over time'], f'{directory}/{name}-{peer}-over-time.svg',
                       f'{name}: {peer}')


def _bars(record, metric, path, title):
    """Groups of bars: a group for each step, a bar for each peer."""
    steps = [s for s in record['steps'] if metric in record['steps'][s]]
    peers = [p for p in record['peers']
             if any(record['steps'][s][metric].get(p) for s in steps)]
    rows = []
    for step in steps:
        cells = ['"' + '\\n'.join(textwrap.wrap(step or metric, 13)) + '"']
        for peer in peers:
            samples = record['steps'][step][metric].get(peer)
            if samples:
                cells += [f'{median(samples):g}', f'{min(samples):g}', f'{max(samples):g}']
            else:
                cells += ['NaN'] * 3
        rows.append(' '.join(cells))
    columns = ', '.join(
        f"$d using {3 * i + 2}:{3 * i + 3}:{3 * i + 4}:xtic(1) title '{peer}' "
        f"lc rgb '{COLOURS[i % len(COLOURS)]}'" for i, peer in enumerate(peers))
    unit = record['metrics'].get(metric, {}).get('unit', '')
    script = ['$d << E', *rows, 'E', f"set title '{title}' noenhanced",
              'set style data histograms', 'set style histogram errorbars gap 1 lw 1',
              'set style fill solid 0.9 noborder', 'set yrange [0:*]', 'set border 3',
              f"set ylabel '{unit}' noenhanced", 'set xtics noenhanced scale 0',
              'set tics nomirror', 'set bmargin 5', 'set errorbars linecolor black',
              'set key outside top center horizontal noenhanced',
              "set grid y lc rgb '#dddddd'", f'plot {columns}']
    draw(path, '\n'.join(script), 140 + 130 * max(len(steps), 4))


def _lines(samples, path, title):
    """One below the other, over the first of the lists: a line for each other."""
    first, *others = samples
    rows = [' '.join(map(str, row)) for row in zip(*samples.values())]
    script = ['$d << E', *rows, 'E', f"set multiplot layout {len(others)},1 title '{title}' "
              'noenhanced', "set grid lc rgb '#dddddd'", 'set border 3', 'set yrange [0:*]',
              'unset key']
    for number, name in enumerate(others):
        script.append(f"set ylabel '{name}' noenhanced")
        if number == len(others) - 1:
            script.append(f"set xlabel '{first}' noenhanced")
        script.append(f"plot $d using 1:{number + 2} with lines lw 1.5 "
                      f"lc rgb '{COLOURS[number]}'")
    draw(path, '\n'.join(script + ['unset multiplot']), height=200 * len(others))


def draw(path, script, width=760, height=320):
    """Run a script of gnuplot's into an SVG."""
    with tempfile.NamedTemporaryFile('w', suffix='.gp', encoding='utf-8') as file:
        file.write(f"set terminal svg size {width},{height} font 'sans-serif,11'\n"
                   f"set output '{path}.new'\n{script}\n")
        file.flush()
        done = subprocess.run(['gnuplot', file.name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f'gnuplot: {done.stderr[-400:]}')
    with open(path + '.new', encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(_lean(text))
    os.unlink(path + '.new')


def _lean(svg):
    """Without the marks that gnuplot defines and does not use, without empty
    groups, without what is a default or the same everywhere: a third is left.
    White behind it, for readers on black."""
    svg = re.sub(r'<defs>.*?</defs>', '', svg, flags=re.DOTALL)
    svg = re.sub(r'<\?xml.*?\?>', '<!-- SPDX-License-Identifier: GPL-2.0-or-later -->', svg)
    svg = re.sub(r'<desc>.*?</desc>', '', svg, flags=re.DOTALL)
    svg = svg.replace('fill="none"/>', 'fill="white"/>', 1)
    count = 1
    while count:
        svg, count = re.subn(r'<g\b[^>]*>\s*</g>', '', svg)
    svg = re.sub(r' (stroke-linecap="butt"|stroke-linejoin="miter"|stroke-width="1.00"'
                 r'|class="gridline"|font-family="sans-serif"|font-size="11.00"|id="[^"]*")',
                 '', svg)
    svg = re.sub(r'color="(\w+)" stroke="currentColor"', r'stroke="\1"', svg)
    svg = re.sub(r'<tspan *>([^<]*)</tspan>', r'\1', svg)
    svg = svg.replace('<svg', '<svg font-family="sans-serif" font-size="11"', 1)
    return re.sub(r'\s*\n\s*', '\n', svg).strip() + '\n'
