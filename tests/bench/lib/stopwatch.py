# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a command inside a cgroup and say how long it took.

    stopwatch.py REPORT CGROUP-PROCS COMMAND...

Writes {"seconds", "user", "system", "code"} to the file REPORT. A program of
its own, so that a wrapper before it ($BENCH_WRAP) is not timed. CGROUP-PROCS
may be empty.
"""
import json
import os
import resource
import subprocess
import sys
import time

report, procs, command = sys.argv[1], sys.argv[2], sys.argv[3:]
if procs:
    with open(procs, 'w', encoding='ascii') as file:
        file.write(str(os.getpid()))
start = time.monotonic()
code = subprocess.call(command)
seconds = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(report, 'w', encoding='ascii') as file:
    json.dump({'seconds': seconds, 'user': used.ru_utime,
               'system': used.ru_stime, 'code': code}, file)
sys.exit(0)
