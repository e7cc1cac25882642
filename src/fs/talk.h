/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of this mount: where it is, who may do what, and how a
 * change or a `stop` that came by it is carried out.
 *
 * A mount without a socket works all the same; a warning says why there is
 * none.
 */
#ifndef SRC_FS_TALK_H
#define SRC_FS_TALK_H

#include "ctl/place.h"
#include "fs/signals.h"

struct talk {
	struct fs *fs;
	struct signals *signals;
	struct ctl_socket *socket; /* NULL: there is none */
	char dir[PLACE_MAX];
	int no_dir; /* why there is no directory for it; 0: there is */
};

/* Before the mount is made, which may lie over the directory. */
void talk_prepare(struct talk *talk, struct fs *fs, struct signals *signals);
/* The mount answers; later and signals run. */
void talk_start(struct talk *talk);
/* They still run. */
void talk_stop(struct talk *talk);

#endif
