/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Standard output and standard error: errors, colour, progress, and the last
 * word on whether what was printed has arrived.
 */
#ifndef SRC_FOLDCTL_TERM_H
#define SRC_FOLDCTL_TERM_H

#include "base/compiler.h"
#include <stdbool.h>

/* Before anything is printed. */
void term_setup(void);
/* Print now what was printed so far. A negative errno once some was lost, which
 * term_finish() will tell: who stops for it has not failed. */
int term_flush(void);
/* The exit code: @code, or EXIT_FAILED when output was lost. */
int term_finish(int code);

/* "foldctl: ..." and a newline on standard error, behind what was printed; what
 * a terminal would obey is escaped. */
void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The same, and the program ends with EXIT_FAILED: out of memory. */
void die(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;

/* Standard output is a terminal, and neither NO_COLOR nor TERM=dumb. */
bool term_has_color(void);

/*
 * One line on a terminal's standard error that the next one replaces; nothing
 * elsewhere. progress_end() takes it away.
 */
void progress(const char *fmt, ...) PRINTF_LIKE(1, 2);
void progress_end(void);

#endif
