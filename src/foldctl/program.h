/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running another program and waiting for it. */
#ifndef SRC_FOLDCTL_PROGRAM_H
#define SRC_FOLDCTL_PROGRAM_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>

/* The program @name that lies beside this one, else @name, to be looked for in
 * PATH. Returns @path. */
const char *program_beside(const char *name, char *path, size_t cap);

/*
 * Run argv[0], looked for in PATH and where administrators have theirs; @quiet:
 * what it prints is thrown away, not what it complains of. A signal that ends
 * the wait for it is handed on as SIGTERM. Its exit code, or 128 and the signal
 * that ended it; -errno when it could not be run.
 */
int program_run(char *const argv[], bool quiet) MUST_CHECK;

#endif
