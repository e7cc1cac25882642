/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * These do touch the mount: a file is found by its name alone, and the daemon
 * that hangs cannot tell about its files by another way either.
 */
#include "foldctl/attr.h"
#include "foldctl/term.h"
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

int attr_get(const char *path, const char *name, char *text, size_t cap)
{
	ssize_t n = getxattr(path, name, text, cap - 1);

	if (n < 0)
		return errno == ENOTSUP ? -ENODATA : -errno;
	text[n] = '\0';
	return 0;
}

bool attr_on_foldfs(const struct context *ctx, const struct stat *st)
{
	for (unsigned i = 0; i < ctx->mounts.n; i++)
		if (major(st->st_dev) == 0 &&
		    minor(st->st_dev) == ctx->mounts.list[i].id)
			return true;
	return false;
}

int attr_stat(struct context *ctx, const char *path, struct stat *ret_st)
{
	struct stat st;
	int code = context_mounts(ctx);

	if (code != EXIT_DONE)
		return code;
	if (stat(path, &st) != 0) {
		say("%s: %s", path, strerror(errno));
		return errno == ENOTCONN ? EXIT_NO_ANSWER : EXIT_FAILED;
	}
	if (!attr_on_foldfs(ctx, &st)) {
		say("%s: not on a foldfs mount", path);
		return EXIT_NO_MOUNT;
	}
	*ret_st = st;
	return EXIT_DONE;
}
