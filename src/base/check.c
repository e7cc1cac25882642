/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of the process when an invariant is broken.
 *
 * Only write() and abort(): the heap, stdio and every lock may be what broke.
 */
#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void invariant_broken(const char *what, const char *file, int line,
		      const char *func)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "%s:%d: %s: invariant broken: %s\n", file, line, func,
			 what);

	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		abort();
	abort();
}
