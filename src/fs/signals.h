/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGINT, SIGTERM and SIGHUP end the mount; the second one ends it even while
 * files in it are in use. So does whoever asks for it by the control socket.
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
	int ask_fd; /* as if a SIGTERM had come */
	int stop_fd;
	bool running;
	sigset_t before;
};

/* Blocks them in the calling thread and all it makes. */
void signals_block(struct signals *signals);
/* -errno; the crew is there. */
int signals_start(struct signals *signals, struct fs *fs) MUST_CHECK;
/* End the mount as SIGTERM does; from any thread. */
void signals_ask(struct signals *signals);
void signals_stop(struct signals *signals);
void signals_restore(const struct signals *signals);

#endif
