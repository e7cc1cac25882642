# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the private world: mount, run the case, unmount, judge.

A case passes when it exits 0, the mount comes down, the daemon exits 0, its
log holds no suspicious word, no sanitizer wrote a report, and no daemon or
mount of the case is left over.
"""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import mount
import reach
import swapping

HERE = os.path.dirname(os.path.abspath(__file__))
SUSPICIOUS = re.compile(
    r'ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error|invariant'
    r'|\bBUG\b|\babort(ed|ing)?\b|stack smashing|double free', re.I)


def limit(case):
    """Seconds that the case may take on this build."""
    return case.timeout * mount.FACTOR


def why_not(case):
    """Why the case cannot run here; '' if it can."""
    if os.geteuid() != 0:
        return 'needs root (mounts in private namespaces)'
    if mount.FS == 'foldfs':
        if not os.path.exists('/dev/fuse'):
            return 'no /dev/fuse'
    elif case.fs == 'foldfs':
        return 'about foldfs only'
    if os.environ.get('FOLDFS_SANITIZED', '0') == '1' and case.sanitizer:
        return 'with a sanitizer: ' + case.sanitizer.removeprefix('skip ')
    missing = [n for n in case.needs.split() if shutil.which(n) is None]
    return 'missing: ' + ' '.join(missing) if missing else ''


def _programs(env):
    """Where the daemon was built, and foldctl: by default beside it."""
    daemon = os.path.realpath(env['FOLDFS']) if env.get('FOLDFS') else ''
    beside = os.path.join(os.path.dirname(daemon), 'foldctl')
    return {'FOLDFS': daemon,
            'FOLDCTL': os.path.realpath(env.get('FOLDCTL') or beside)}


def environment(case, work):
    """What a case finds in its environment."""
    env = dict(os.environ)
    for name, path in _programs(env).items():
        env[name] = reach.reachable(path, f'{work}/programs') if path else ''
        env[f'{name}_BUILT'] = path
    san = f'{work}/sanitizer'
    common = f':log_path={san}:exitcode=99'
    env.update(
        MNT=f'{work}/mnt', WORK=work, FS=mount.FS, CASE=case.name,
        PYTHONPATH=HERE,
        PYTHONDONTWRITEBYTECODE='1', LC_ALL='C.UTF-8', HOME=work,
        FOLDFS_SANITIZED=env.get('FOLDFS_SANITIZED', '0'),
        FOLDFS_TIMEOUT_FACTOR=str(mount.FACTOR),
        ASAN_OPTIONS=env.get('ASAN_OPTIONS', 'detect_leaks=1') + common,
        TSAN_OPTIONS=env.get('TSAN_OPTIONS', '') + common,
        UBSAN_OPTIONS=env.get('UBSAN_OPTIONS', 'print_stacktrace=1')
        + ':halt_on_error=1' + common)
    env.pop('TMPDIR', None)
    return env


def main(case, work, runner):
    """Everything from the mount to the verdict; the exit status."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    # Under nohup these are ignored, and would be by all that a case starts.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.environ.update(environment(case, work))
    start = time.monotonic()
    problems = []
    if case.device == 'open' and not _open_device(work):
        print(f'skip {case.name}: ordinary users may not open /dev/fuse')
        return 77
    status = _mount_and_run(case, work, problems)
    _look_around(work, problems)
    if status not in (0, 77):
        problems.insert(0, status if isinstance(status, str)
                        else f'exit status {status}')
    seconds = time.monotonic() - start
    if problems:
        _report(case, work, runner, problems)
        return 1
    if status == 77:
        print(f'skip {case.name}: ' + _text(work, 'case.out').strip())
        return 77
    for line in _text(work, 'case.out').splitlines():
        print('     ' + line)
    print(f'ok   {case.name} ({seconds:.1f} s)')
    return 0


def _interrupted(number, _):
    raise KeyboardInterrupt(f'signal {number}')


def _open_device(work):
    """A /dev/fuse for everybody, seen in this mount namespace only."""
    if os.stat('/dev/fuse').st_mode & 0o006 == 0o006:
        return True
    dev = f'{work}/dev'
    os.mkdir(dev)
    node = f'{dev}/fuse'
    try:
        subprocess.run(['mount', '-t', 'tmpfs', 'none', dev], check=True)
        os.mknod(node, 0o020666, os.stat('/dev/fuse').st_rdev)
        os.chmod(node, 0o666)
        subprocess.run(['mount', '--bind', node, '/dev/fuse'], check=True)
        os.close(os.open('/dev/fuse', os.O_RDWR))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _mount_and_run(case, work, problems):
    mounted = None
    try:
        os.mkdir(f'{work}/mnt')
        if case.mount != 'no':
            mounted = mount.Mount(f'{work}/mnt', case.options, cwd=work)
            os.environ['DAEMON_PID'] = str(mounted.pid)
        return _run_case(case, work)
    except (mount.MountError, OSError) as error:
        return f'mount: {error}'
    except KeyboardInterrupt as error:
        return f'interrupted: {error}'
    finally:
        # While the daemon that serves it is there.
        left = swapping.take_down(work, mount.PATIENCE)
        if left:
            problems.append(left)
        if mounted:
            try:
                mounted.unmount()
            except mount.MountError as error:
                problems.append(str(error))


def _run_case(case, work):
    argv = [case.path]
    with open(case.path, encoding='utf-8') as file:
        if 'python' in file.readline():
            argv.insert(0, sys.executable)
    with open(f'{work}/case.out', 'ab') as out:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out, cwd=work, start_new_session=True)
        try:
            return child.wait(limit(case))
        except subprocess.TimeoutExpired:
            out.write(_where_stuck().encode())
            return f'no end after {limit(case):.0f} s'
        finally:
            _kill_session(child)


def _processes():
    """(pid, session, command line) of everybody here but init and us."""
    for pid in sorted(int(p) for p in os.listdir('/proc') if p.isdigit()):
        if pid in (1, os.getpid()):
            continue
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                words = file.read().replace(b'\0', b' ').decode('utf-8',
                                                                'replace')
            yield pid, os.getsid(pid), words.strip()
        except OSError:
            continue


def _kill_session(child):
    """End what the case started.  Waits for the kernel to let go of it; if
    that hangs in our mount, the connection is aborted."""
    for attempt in range(200):
        alive = [p for p, sid, _ in _processes() if sid == child.pid]
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        child.poll()
        if not alive:
            return
        if attempt == 100:
            for _, fstype, minor in mount.mounts_below(os.environ['WORK']):
                if fstype.startswith('fuse'):
                    mount.abort_connection(minor)
        time.sleep(0.05)


def _where_stuck():
    lines = ['\n-- stuck; who waits where:\n']
    for pid, _, words in _processes():
        for task in sorted(os.listdir(f'/proc/{pid}/task')):
            try:
                with open(f'/proc/{pid}/task/{task}/stack',
                          encoding='ascii') as file:
                    stack = ' < '.join(line.split()[-1] for line in file)
            except OSError:
                stack = '?'
            lines.append(f'{pid}/{task} {words[:100]}: {stack}\n')
    return ''.join(lines)


def _text(work, name):
    try:
        with open(f'{work}/{name}', encoding='utf-8',
                  errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def _look_around(work, problems):
    """Nothing may be left, nothing suspicious may be written."""
    for point, fstype, minor in mount.mounts_below(work):
        if fstype.startswith('fuse'):
            problems.append(f'a mount was left: {point}')
            mount.abort_connection(minor)
            subprocess.run(['umount', '-l', point], check=False)
    daemon = os.environ['FOLDFS']
    deadline = time.monotonic() + mount.PATIENCE
    while daemon:
        left = [w for _, _, w in _processes()
                if w and os.path.realpath(w.split()[0]) == daemon]
        if not left:
            break
        if time.monotonic() > deadline:
            problems.append(f'a daemon was left: {left[0]}')
            break
        time.sleep(0.02)
    for name in sorted(os.listdir(work)):
        if name.startswith('sanitizer.'):
            problems.append('sanitizer report:\n' + _text(work, name)[:8000])
        elif name.endswith('.log'):
            found = SUSPICIOUS.search(_text(work, name))
            if found:
                problems.append(f'{name} says "{found.group(0)}"')


def _report(case, work, runner, problems):
    top = os.environ.get('FOLDFS_FAILURES',
                         os.path.join(os.getcwd(), 'failures'))
    place = os.path.join(top, f'{case.name}-{runner}')
    os.makedirs(place, exist_ok=True)
    for name in sorted(os.listdir(work)):
        if name == 'case.out' or name.endswith('.log') \
                or name.startswith('sanitizer.'):
            shutil.copy(os.path.join(work, name), place)
    _write_repro(case, place)
    print(f'FAIL {case.name}: {problems[0]}')
    for problem in problems[1:]:
        print('     ' + problem)
    for name in ('case.out', 'daemon.log'):
        text = _text(work, name)
        if text:
            print(f'---- {name}\n{text[-6000:].rstrip()}')
    print(f'---- left in {place}; again with: {place}/repro.sh')


def _write_repro(case, place):
    names = ('FS', 'FOLDFS_SANITIZED', 'FOLDFS_TIMEOUT_FACTOR')
    words = [f"{n}='{os.environ[n]}'" for n in names if os.environ.get(n)]
    words += [f"{n}='{os.environ[n + '_BUILT']}'" for n in ('FOLDFS', 'FOLDCTL')
              if os.environ[n + '_BUILT']]
    run = os.path.join(os.path.dirname(HERE), 'run')
    path = os.path.join(place, 'repro.sh')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('#!/bin/sh\n# A random case prints its seed in case.out;'
                   ' give it as FOLDFS_SEED.\n'
                   f"exec env {' '.join(words)} '{run}' '{case.path}'\n")
    os.chmod(path, 0o755)
