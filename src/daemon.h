/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going to the background once the mount answers, and not before.
 *
 * The process forks while it has one thread. The child starts the mount with
 * the user's stderr; the parent waits for its word on a pipe and ends with
 * its exit code. Whatever ends the parent before that ends the child too, so
 * that an interrupted start leaves nothing. Layer 5.
 */
#ifndef SRC_DAEMON_H
#define SRC_DAEMON_H

#include "base/compiler.h"

/*
 * A reader of our messages who goes, and signals that other programs take to
 * mean "say something", must not end a process that holds all the data.
 */
void daemon_ignore_signals(void);

struct daemon {
	int pipe_fd; /* to the waiting parent; -1 in the foreground */
	const char *name;
};

/* Descriptors 0 to 2 open, on /dev/null if need be; -errno. First of all. */
int daemon_open_std(void) MUST_CHECK;

/*
 * Fork. Returns 0 in the child. The parent does not return: it ends with the
 * code of daemon_ready() (0) or daemon_failed(), or with 2 and a message when
 * the child says nothing, or by the signal that it was interrupted with (the
 * child is told to end by SIGTERM, and waited for). -errno: no fork.
 */
int daemon_begin(struct daemon *d, const char *name) MUST_CHECK;

/*
 * The start is done: leave the terminal, log to syslog, let the parent go. If
 * it is no longer there, ends this process by SIGTERM to itself. In the
 * foreground nothing happens. Once.
 */
void daemon_ready(struct daemon *d);

/* The start failed: the parent will end with @code. */
void daemon_failed(struct daemon *d, int code);

#endif
