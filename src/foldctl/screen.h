/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal as a screen of our own: entered, asked for keys, and given back
 * as it was whatever ends the program.
 */
#ifndef SRC_FOLDCTL_SCREEN_H
#define SRC_FOLDCTL_SCREEN_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct screen_size {
	unsigned width, height;
};

/* Of the terminal that standard output is; else 80 by 24. */
struct screen_size screen_size(void);

/* Standard input and output are one that can: a terminal, not TERM=dumb. */
bool screen_is_there(void);

/*
 * Take the alternate screen and read keys unbuffered and unechoed. Signals that
 * end the program do so after the terminal has been restored; SIGTSTP
 * restores it until the program goes on. 0 or a negative errno.
 */
int screen_enter(void) MUST_CHECK;
/* Again and again, if you like; also done at exit(). */
void screen_leave(void);

#define SCREEN_TIME 0       /* it is time */
#define SCREEN_CHANGED (-1) /* draw again: it has another size, or is back */
#define SCREEN_GONE (-2)    /* nobody is there any more */

/* Wait for a key until @until_ns, a clock_ns() time: the key, or the above. */
int screen_key(uint64_t until_ns);

#endif
