# SPDX-License-Identifier: GPL-2.0-or-later
"""A systemd of the case's own: process 1 of a namespace below the case's.

It has its own control group, its own /run and /var/lib, and only the unit folders that it
is given, so nothing of the machine's is started, and the machine's own systemd
sees nothing of it.
"""
import os
import subprocess

from checks import WORK, Wrong, eventually, skip

SYSTEMD = '/lib/systemd/systemd'
# As the namespace's first process: what a container manager would prepare.
PREPARE = '''
set -e
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$WORK/console" /dev/console
exec "$@"
'''


def _cgroup2():
    """Where the unified hierarchy is mounted; None: nowhere."""
    with open('/proc/self/mountinfo', encoding='utf-8') as lines:
        for line in lines:
            if ' - cgroup2 ' in line:
                return line.split()[4]
    return None


class Manager:
    """Start it with the units of some folders and the target to begin with."""

    def __init__(self, folders, target):
        top = _cgroup2()
        if not os.access(SYSTEMD, os.X_OK) or not top:
            skip('no systemd, or no unified control groups')
        self.cgroup = f'{top}/foldfs-{os.getpid()}-{os.path.basename(WORK)}'
        try:
            os.mkdir(self.cgroup)
        except OSError as error:
            skip(f'no control group of its own here: {error}')
        with open(f'{WORK}/console', 'wb'):
            pass
        self.process = subprocess.Popen(
            ['unshare', '--pid', '--mount', '--cgroup', '--ipc', '--uts',
             '--net', '--fork', '--kill-child', 'sh', '-c', PREPARE, 'sh',
             SYSTEMD, '--system', f'--unit={target}', '--log-target=console',
             '--show-status=0'],
            preexec_fn=self._enter, stdin=subprocess.DEVNULL,
            env={**os.environ, 'container': 'other',
                 'SYSTEMD_UNIT_PATH': ':'.join(folders)})
        try:
            self.pid = eventually(self._child, 'systemd starts')
            eventually(self._answers, 'systemd answers')
        except Wrong as wrong:
            self.end()
            skip(f'systemd does not run here: {wrong}; {self.console()}')

    def _enter(self):
        with open(f'{self.cgroup}/cgroup.procs', 'w', encoding='ascii') as file:
            file.write('0')

    def _child(self):
        if self.process.poll() is not None:
            raise Wrong('it ended')
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children',
                  encoding='ascii') as file:
            return file.read().strip()

    def _answers(self):
        return self._child() and self.systemctl('show', '-p', 'Version',
                                                check=False)

    @staticmethod
    def console():
        """What it wrote."""
        with open(f'{WORK}/console', encoding='utf-8',
                  errors='replace') as file:
            return file.read()[-3000:]

    def inside(self, *words, **how):
        """A process beside process 1: what every program of the machine
        would see."""
        return subprocess.Popen(
            ['nsenter', '-t', self.pid, '-m', '-p', '--', *words], **how)

    def run(self, *words, check=True):
        """The same, waited for; what it prints, None if it failed."""
        with self.inside(*words, stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE) as process:
            out, error = process.communicate()
        if process.returncode != 0 and check:
            raise Wrong(f'{words}: {process.returncode}, {error} '
                        f'{self.console()}')
        return out if process.returncode == 0 else None

    def systemctl(self, *words, check=True):
        """systemctl, asking this one."""
        return self.run('systemctl', '--no-pager', *words, check=check)

    def show(self, unit, name):
        """One property of a unit."""
        return self.systemctl('show', '-p', name, '--value', unit).strip()

    def becomes(self, unit, state):
        """Wait for a unit's state."""
        try:
            eventually(lambda: self.show(unit, 'ActiveState') == state,
                       f'{unit} {state}')
        except Wrong as wrong:
            raise Wrong(f'{wrong}: is {self.show(unit, "ActiveState")}; '
                        f'{self.console()}') from wrong

    def end(self):
        """Nothing of it stays: its processes and its control groups."""
        self.process.kill()
        self.process.wait()
        below = [folder for folder, _, _ in os.walk(self.cgroup)]

        def removed():
            for folder in reversed(below):
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    pass
                except OSError:
                    return False
            return True

        eventually(removed, 'its control groups are empty')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
