/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The foldfs mounts there are, by the kernel's list alone.
 *
 * Nothing here touches a mount, not even by stat(): a mount whose daemon hangs
 * would hang us too. Paths are therefore compared as text; symbolic links
 * outside of the mount are not followed either.
 */
#ifndef SRC_FOLDCTL_MOUNTS_H
#define SRC_FOLDCTL_MOUNTS_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct libmnt_table;

struct mount {
	unsigned id;    /* minor number of its device; names the socket */
	unsigned place; /* in the tree of mounts, by the kernel's number */
	const char *point;
	const char *source;
	const char *options;
	uid_t owner; /* who mounted it */
	bool again;  /* a file system that stands before in the list, bound to
			another place */
};

struct mounts {
	struct mount *list; /* in the kernel's order: a later one may cover */
	unsigned n;
	struct libmnt_table *table; /* owns the texts */
};

/* From @file, NULL: /proc/self/mountinfo. Negative errno. */
int mounts_read(struct mounts *ret_mounts, const char *file) MUST_CHECK;
void mounts_fini(struct mounts *mounts);

/* The mount that an absolute, normal @path lies in; NULL: none of ours. */
const struct mount *mounts_of_path(const struct mounts *mounts,
				   const char *path);
/* By its id as a number in text, or by its source: the first, and how many
 * there are. NULL: none. */
const struct mount *mounts_of_name(const struct mounts *mounts,
				   const char *name, unsigned *ret_n);

/*
 * @path made absolute below @directory, without //, /. and /.. (taken as
 * text). -ENAMETOOLONG.
 */
int path_normal(const char *directory, const char *path, char *ret_path,
		size_t cap) MUST_CHECK;

#endif
