/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a control socket lives: its directory, its file, and a stale one. */
#ifndef SRC_CTL_PLACE_H
#define SRC_CTL_PLACE_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#define PLACE_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

/*
 * The directory of this user's sockets, made if it is missing; @runtime is
 * XDG_RUNTIME_DIR, which counts for ordinary users only. Its name is in @dir
 * in any case. -EDESTADDRREQ: a user without @runtime; -ENAMETOOLONG; -EPERM
 * others may write there; -errno.
 */
int place_dir(uid_t user, const char *runtime, char dir[PLACE_MAX]) MUST_CHECK;

/* A socket that listens, and its file. */
struct place {
	int fd;
	char path[PLACE_MAX];
	dev_t dev;
	ino_t ino;
};
/* In place of one that no longer answers. -EADDRINUSE: one that still does
 * after @patience_ns; -ENAMETOOLONG; -errno. */
int place_open(const char *dir, unsigned id, uint64_t patience_ns,
	       struct place *ret) MUST_CHECK;
/* Remove the file, if it still is ours: while somebody answers by it, so that
 * no successor takes it for a stale one. */
void place_remove(const struct place *place);
void place_close(struct place *place);

#endif
