/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGINT, SIGTERM and SIGHUP end the mount; the second one ends it even while
 * files in it are in use.
 */
#ifndef SRC_FS_SIGNALS_H
#define SRC_FS_SIGNALS_H

#include "fs/state.h"
#include <pthread.h>
#include <signal.h>

struct signals {
	struct fs *fs;
	pthread_t thread;
	int signal_fd;
	int stop_fd;
	bool running;
	sigset_t before;
};

/* Blocks them in the calling thread and all it makes. */
void signals_block(struct signals *signals);
/* -errno; the crew is there. */
int signals_start(struct signals *signals, struct fs *fs) MUST_CHECK;
void signals_stop(struct signals *signals);
void signals_restore(const struct signals *signals);

#endif
