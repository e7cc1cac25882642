/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * These do touch the mount, for a file is found by its name alone. So the way
 * there is walked first, and no mount is entered before its daemon has answered
 * on its socket: one that hangs keeps us for the time limit only. (Not one that
 * begins to hang in between.)
 */
#include "foldctl/attr.h"
#include "foldctl/term.h"
#include "foldfs/keys.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As the kernel has it. */
#define LINKS_MAX 40

/* --- on the way to a file --- */

struct way {
	struct context *ctx;
	char done[PATH_MAX], rest[PATH_MAX];
	const struct mount *mount; /* that @done lies on */
	unsigned links;
};

/* Whether the daemon is alive. Where it cannot be asked, as in a container,
 * the file may still be there. */
static int call(struct context *ctx, const struct mount *mount)
{
	struct client client;
	json_t *answer;
	int r = client_open(&client, mount, ctx->timeout_ms);

	if (r == 0) {
		r = client_ask(&client, "hello", &answer);
		if (r == 0)
			json_decref(answer);
		client_close(&client);
	}
	if (r == -ETIMEDOUT || r == -EOWNERDEAD || r == -ECONNREFUSED ||
	    r == -ECONNRESET)
		return context_no_answer(mount, r, NULL);
	return EXIT_DONE;
}

static int enter(struct way *way)
{
	const struct mount *mount =
		mounts_of_path(&way->ctx->mounts, *way->done ? way->done : "/");

	if (mount == way->mount)
		return EXIT_DONE;
	way->mount = mount;
	return mount ? call(way->ctx, mount) : EXIT_DONE;
}

static void leave_last(struct way *way)
{
	char *slash = strrchr(way->done, '/');

	if (slash)
		*slash = '\0';
}

/* False: @done and the name are too long together. */
static bool add_name(struct way *way, const char *name, size_t n)
{
	size_t at = strlen(way->done);

	if (at + 1 + n >= sizeof(way->done))
		return false;
	way->done[at] = '/';
	memcpy(way->done + at + 1, name, n);
	way->done[at + 1 + n] = '\0';
	return true;
}

/* Go where @done, if it is a link, leads to. False: too far. */
static bool follow(struct way *way)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlink(way->done, target, sizeof(target) - 1);

	if (n < 0)
		return true;
	target[n] = '\0';
	if (++way->links > LINKS_MAX ||
	    (size_t)n + 1 + strlen(way->rest) >= sizeof(rest))
		return false;
	memcpy(rest, target, (size_t)n);
	rest[n] = '/';
	strcpy(rest + n + 1, way->rest);
	strcpy(way->rest, rest);
	if (*target == '/')
		*way->done = '\0';
	else
		leave_last(way);
	return true;
}

/* Take the next name off @rest; stat(2) will tell what is wrong with a way
 * that ends early. */
static bool step(struct way *way, int *ret_code)
{
	char *name = way->rest + strspn(way->rest, "/");
	size_t n = strcspn(name, "/");
	bool is_name = n > 0 && !(n == 1 && *name == '.');
	bool is_up = n == 2 && memcmp(name, "..", 2) == 0;

	if (n == 0)
		return false;
	if (is_up)
		leave_last(way);
	else if (is_name && !add_name(way, name, n))
		return false;
	memmove(way->rest, name + n, strlen(name + n) + 1);
	*ret_code = enter(way);
	if (*ret_code != EXIT_DONE)
		return false;
	return is_up || !is_name || follow(way);
}

static int reach(struct context *ctx, const char *path)
{
	struct way way = {.ctx = ctx};
	int code = EXIT_DONE;

	if (strlen(path) >= sizeof(way.rest))
		return EXIT_DONE;
	strcpy(way.rest, path);
	if (*path != '/' && !getcwd(way.done, sizeof(way.done)))
		*way.done = '\0';
	if (strcmp(way.done, "/") == 0)
		*way.done = '\0';
	code = enter(&way);
	while (code == EXIT_DONE && step(&way, &code))
		;
	return code;
}

/* --- the file --- */

int attr_get(const char *path, const char *name, char *text, size_t cap)
{
	ssize_t n = getxattr(path, name, text, cap - 1);

	if (n < 0)
		return errno == ENOTSUP ? -ENODATA : -errno;
	text[n] = '\0';
	return 0;
}

static bool is_control_file(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, FOLDFS_CONTROL_NAME) == 0;
}

int attr_failed(const char *path, int error)
{
	bool is_gone = error == -ENOTCONN || error == -ECONNABORTED;

	if (is_gone)
		say("%s: the daemon is gone", path);
	else if (error == -ENODATA && is_control_file(path))
		say("%s: no file but the keys of the mount, for 'foldctl stat'",
		    path);
	else if (error == -ENODATA)
		say("%s: the daemon cannot tell; is it older?", path);
	else
		say("%s: %s", path, strerror(-error));
	return is_gone ? EXIT_NO_ANSWER : EXIT_FAILED;
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
	code = reach(ctx, path);
	if (code != EXIT_DONE)
		return code;
	if (stat(path, &st) != 0)
		return attr_failed(path, -errno);
	if (!attr_on_foldfs(ctx, &st)) {
		say("%s: not on a foldfs mount", path);
		return EXIT_NO_MOUNT;
	}
	*ret_st = st;
	return EXIT_DONE;
}
