/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For work that must be taken back before the program may end: the signals
 * that would end it are noted.
 */
#ifndef SRC_FOLDCTL_INTERRUPT_H
#define SRC_FOLDCTL_INTERRUPT_H

#include <stdbool.h>

/* From here on SIGINT, SIGTERM and SIGHUP end system calls with EINTR, and
 * nothing else. */
void interrupt_catch(void);
bool interrupt_seen(void);
/* As in the beginning; a child that execs has that by itself. */
void interrupt_release(void);
/* End as the signal would have, if there was one. */
void interrupt_end(void);

#endif
