# SPDX-License-Identifier: GPL-2.0-or-later
"""Real bytes to measure with, made on the machine once and the same for all.

`prepare()` makes a directory of pieces: images of processes at work, taken by
gcore; system libraries; headers; text; files that are compressed already; and
`mixed`, a blend of them all in runs of 64 KiB. A manifest holds the checksum
of each, and what does not match it is made anew. `tree()` chooses files of
/usr to copy, `pack()` makes one archive of them.
"""
import glob
import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

from case import CannotRun

FORMAT = 1
RUN = 64 << 10
# Percent of `mixed` that each piece has; what cannot be made here leaves its
# share to the others.
SHARES = {'python': 20, 'node': 15, 'gcc': 15, 'libraries': 20, 'headers': 10,
          'text': 10, 'packed': 10}

AT_WORK = {
    # Syntax trees of the standard library, kept.
    'python': ['/usr/bin/python3', '-c', '''
import ast, glob, os, sys
kept = []
for path in sorted(glob.glob(os.path.dirname(os.__file__) + '/**/*.py', recursive=True)):
    try:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        kept.append((path, text, ast.parse(text)))
    except (OSError, ValueError, SyntaxError):
        pass
    if len(kept) == 250:
        break
print('ready', flush=True)
sys.stdin.read()
'''],
    # Objects, strings and what the engine compiled of a small interpreter.
    'node': ['node', '-e', '''
const kept = new Map();
let seed = 1;
const next = () => (seed = (seed * 48271) % 2147483647);
for (let i = 0; i < 150000; i++)
    kept.set('entry-' + i, {id: i, at: next(), words: ['alpha', 'beta', 'gamma' + next() % 97],
                            text: JSON.stringify({i, level: next() % 7, value: next() / 3})});
let sum = 0;
for (let round = 0; round < 5; round++)
    for (const v of kept.values())
        sum += JSON.parse(v.text).value;
console.log('ready');
process.stdin.resume();
'''],
}


class DataError(CannotRun):
    """Nothing could be made of what this machine has."""


def digest(path):
    """The SHA-256 of a file's bytes."""
    sha = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            sha.update(chunk)
    return sha.hexdigest()


def _gcore(pid, target, most):
    """The image of a process, its first `most` bytes."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as work:
        subprocess.run(['gcore', '-o', f'{work}/core', str(pid)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        core = f'{work}/core.{pid}'
        _take(core, target, most)


def _take(source, target, most):
    """What a file has of data, holes left out, up to `most` bytes."""
    with open(source, 'rb') as file, open(target, 'wb') as out:
        while most > 0 and (chunk := file.read(min(most, 1 << 20))):
            if chunk.count(0) < len(chunk):
                out.write(chunk)
                most -= len(chunk)


def _interpreter(kind, target, most):
    """An interpreter that has said that its work is done, and waits."""
    with subprocess.Popen(AT_WORK[kind], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        try:
            if process.stdout.readline() != b'ready\n':
                raise DataError(f'{kind} did not get to work')
            _gcore(process.pid, target, most)
        finally:
            process.kill()


def _compiler(target, most):
    """A compiler in the middle of a large file, taken when it has grown."""
    with tempfile.TemporaryDirectory() as work:
        source = f'{work}/large.c'
        with open(source, 'w', encoding='ascii') as file:
            file.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n')
            for i in range(20000):
                file.write(f'static int f{i}(int a, int *b)\n{{\n\tfor (int i = 0; i < a; i++)\n'
                           f'\t\tb[i % {i % 61 + 3}] += a * {i} + (b[i] ? f{max(i - 1, 0)}(i, b)'
                           f' : {i % 9});\n\treturn printf("{i} %d", a);\n}}\n')
            file.write('int main(void) { int b[99] = {0}; return f19999(1, b); }\n')
        cc1 = subprocess.run(['gcc', '-print-prog-name=cc1'], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
        subprocess.run(['gcc', '-E', '-o', f'{work}/large.i', source], check=True)
        with subprocess.Popen([cc1, '-quiet', '-O2', f'{work}/large.i', '-o', f'{work}/large.s'],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            try:
                while process.poll() is None and _resident(process.pid) < most:
                    time.sleep(0.02)
                if process.poll() is not None:
                    raise DataError('the compiler ended too soon')
                os.kill(process.pid, signal.SIGSTOP)
                _gcore(process.pid, target, most)
            finally:
                process.kill()


def _resident(pid):
    """Bytes of a process that are in RAM."""
    with open(f'/proc/{pid}/statm', encoding='ascii') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def _below(tops, test):
    """Plain files below the directories, in an order that stays."""
    for top in tops:
        for folder, dirs, names in os.walk(top):
            dirs.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if test(name) and os.path.isfile(path) and not os.path.islink(path):
                    yield path


def _joined(paths, target, most):
    """Files one behind the other."""
    with open(target, 'wb') as out:
        for path in paths:
            try:
                with open(path, 'rb') as file:
                    data = file.read(min(most, 8 << 20))
            except OSError:
                continue
            out.write(data)
            most -= len(data)
            if most <= 0:
                break


def _packed(target, most):
    """Compressed files, and where there are too few, the libraries packed."""
    ends = ('.gz', '.xz', '.zst', '.bz2', '.png', '.jpg', '.zip', '.whl', '.jar', '.woff2')
    _joined(_below(['/usr/share', '/usr/lib'], lambda n: n.endswith(ends)), target, most)
    with open(target, 'ab') as out:
        for path in _libraries():
            if out.tell() >= most:
                break
            with open(path, 'rb') as file:
                out.write(gzip.compress(file.read(8 << 20), 6, mtime=0))
        out.truncate(min(out.tell(), most))


def _libraries():
    return sorted(p for p in glob.glob('/usr/lib/*-linux-gnu*/*.so*')
                  if os.path.isfile(p) and not os.path.islink(p))


def _make(kind, target, most):
    """One piece of at most so many bytes."""
    if kind in AT_WORK:
        _interpreter(kind, target, most)
    elif kind == 'gcc':
        _compiler(target, most)
    elif kind == 'libraries':
        _joined(_libraries(), target, most)
    elif kind == 'headers':
        _joined(_below(['/usr/include'], lambda n: n.endswith(('.h', '.hpp'))), target, most)
    elif kind == 'text':
        _joined(_below(['/usr/share/common-licenses', '/usr/lib/python3', '/usr/share/perl',
                        '/usr/share/doc', '/usr/share'],
                       lambda n: n.endswith(('.txt', '.py', '.pm', '.html', '.md', '.xml'))
                       or 'GPL' in n), target, most)
    else:
        _packed(target, most)


def _blend(directory, pieces, target, size):
    """Runs of all pieces in turn, each as often as its share says."""
    files = {k: open(f'{directory}/{k}', 'rb') for k in pieces}
    owed = dict.fromkeys(pieces, 0)
    try:
        with open(target, 'wb') as out:
            while out.tell() < size:
                for kind in pieces:
                    owed[kind] += SHARES[kind]
                kind = max(pieces, key=lambda k: owed[k])
                owed[kind] -= sum(SHARES[k] for k in pieces)
                run = files[kind].read(RUN)
                if len(run) < RUN:
                    files[kind].seek(0)
                    run = files[kind].read(RUN)
                out.write(run)
            out.truncate(size)
    finally:
        for file in files.values():
            file.close()


def _whole(directory, mib):
    """The manifest, if it is one of this size and everything matches it."""
    try:
        with open(f'{directory}/manifest.json', encoding='utf-8') as file:
            manifest = json.load(file)
        if manifest['format'] != FORMAT or manifest['mib'] != mib:
            return None
        for name, piece in manifest['pieces'].items():
            if digest(f'{directory}/{name}') != piece['sha256']:
                return None
        return manifest
    except (OSError, ValueError, KeyError):
        return None


def prepare(directory, mib=64, say=lambda text: print(text, file=sys.stderr)):
    """Make the pieces, or find them made; returns the manifest.

    Its 'pieces' are {name: {'bytes', 'sha256'}}, each the file of that name in
    the directory; 'missing' says what this machine could not make, and why.
    """
    manifest = _whole(directory, mib)
    if manifest:
        return manifest
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    pieces, missing = {}, {}
    for kind, share in SHARES.items():
        say(f'data: {kind}')
        target = f'{directory}/{kind}'
        try:
            _make(kind, target, max(mib * share << 20, 400 << 20) // 100)
            if os.path.getsize(target) < RUN:
                raise DataError('too little of it here')
        except (OSError, subprocess.SubprocessError, DataError) as error:
            missing[kind] = str(error)
            if os.path.exists(target):
                os.unlink(target)
            continue
        pieces[kind] = {}
    if not pieces:
        raise DataError(f'no data could be made: {missing}')
    _blend(directory, list(pieces), f'{directory}/mixed', mib << 20)
    for name in list(pieces) + ['mixed']:
        path = f'{directory}/{name}'
        pieces[name] = {'bytes': os.path.getsize(path), 'sha256': digest(path)}
    manifest = {'format': FORMAT, 'mib': mib, 'pieces': pieces, 'missing': missing}
    with open(f'{directory}/manifest.json', 'w', encoding='utf-8') as file:
        json.dump(manifest, file, indent=1)
    return manifest


def tree(mib):
    """Files of /usr, about so many MiB of them: headers, scripts, documents,
    libraries, in the sizes that systems have."""
    found = {}
    for top, share in (('/usr/include', 0.3), ('/usr/lib/python3', 0.2),
                       ('/usr/share', 0.3), ('/usr/lib', 0.2)):
        most = int((mib << 20) * share)
        for path in _below([top], lambda n: True):
            size = os.path.getsize(path)
            if size > 4 << 20 or path in found:
                continue
            if most < size:
                break
            most -= size
            found[path] = size
    return sorted(found)


def pack(paths, archive, top='/'):
    """One uncompressed archive of files below a top, the same each time."""
    def plain(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = 'root'
        return entry
    with tarfile.open(archive, 'w', format=tarfile.GNU_FORMAT) as tar:
        for path in paths:
            tar.add(os.path.join(top, path), arcname=path.lstrip('/'), recursive=False,
                    filter=plain)


def digests(top):
    """{path: (size, mode, digest)} of the plain files below a directory."""
    found = {}
    for path in _below([top], lambda n: True):
        status = os.stat(path)
        found[os.path.relpath(path, top)] = (status.st_size, status.st_mode, digest(path))
    return found


def forget(top):
    """Let the kernel give up the clean pages of all files below a directory."""
    for path in _below([top], lambda n: True):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


if __name__ == '__main__':
    json.dump(prepare(sys.argv[1], int(sys.argv[2])), sys.stdout, indent=1)
