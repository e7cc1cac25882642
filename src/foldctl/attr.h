/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of one file, asked through its mount by its path. */
#ifndef SRC_FOLDCTL_ATTR_H
#define SRC_FOLDCTL_ATTR_H

#include "base/compiler.h"
#include "foldctl/context.h"
#include <stddef.h>
#include <sys/stat.h>

/*
 * The value of @name as text that ends with a zero, at most @cap with it; a
 * symbolic link is followed. -ENODATA: no regular file of foldfs, or not known
 * to its daemon; -ERANGE; others of getxattr(2).
 */
int attr_get(const char *path, const char *name, char *text,
	     size_t cap) MUST_CHECK;

/* Say why stat(2) or attr_get() of @path failed; an exit code. */
int attr_failed(const char *path, int error);

/* Whether the file that @st is of lies on a foldfs mount, by its device. */
bool attr_on_foldfs(const struct context *ctx, const struct stat *st);

/*
 * What @path is, by stat(2), if it lies on foldfs and the daemon answers: it is
 * asked within the time limit before its mount is touched. An exit code; what
 * is wrong has been said.
 */
int attr_stat(struct context *ctx, const char *path,
	      struct stat *ret_st) MUST_CHECK;

#endif
