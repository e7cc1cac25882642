/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks for our swap.
 *
 * A loop device shows its file in words of the mount namespace it was made in,
 * and containers may have a foldfs in theirs. Ours is what is mounted here or
 * has its daemon's socket here; of a daemon that was killed and whose mount is
 * gone too, what has both left the socket and lost its place in every tree.
 */
#include "foldctl/swap_state.h"
#include "foldctl/loop.h"
#include "foldctl/term.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool swap_file_id(const char *backing, unsigned *ret_id)
{
	const char *name = strrchr(backing, '/');
	size_t n = strlen(SWAP_FILE);
	unsigned long id;
	char *end;

	if (!name || strncmp(++name, SWAP_FILE, n) != 0 ||
	    !(name[n] >= '0' && name[n] <= '9'))
		return false;
	id = strtoul(name + n, &end, 10);
	/* The file may have been unlinked. */
	if ((*end != '\0' && *end != ' ') || id > UINT_MAX)
		return false;
	*ret_id = (unsigned)id;
	return true;
}

/* The one that is uppermost; what lies below is none of ours any more. */
static const struct mount *at_our_point(const struct mounts *mounts)
{
	for (unsigned i = mounts->n; i-- > 0;)
		if (strcmp(mounts->list[i].point, SWAP_POINT) == 0)
			return &mounts->list[i];
	return NULL;
}

static const struct mount *with_id(const struct mounts *mounts, unsigned id)
{
	for (unsigned i = mounts->n; i-- > 0;)
		if (mounts->list[i].id == id)
			return &mounts->list[i];
	return NULL;
}

/* What leads to the daemon of a mount that nobody sees. */
static struct mount out_of_view(unsigned id)
{
	return (struct mount){
		.id = id,
		.point = SWAP_POINT,
		.source = "swap",
		.options = "",
	};
}

struct look {
	const struct mounts *mounts;
	const char *proc, *sys;
	int (*listens)(const struct mount *mount, void *arg);
	void *arg;
};

/* Whether what has that file is ours; then the mount. */
static bool is_ours(const struct look *look, const char *backing,
		    struct swap_state *state)
{
	const struct mount *mount;
	unsigned id;
	int r;

	if (!swap_file_id(backing, &id))
		return false;
	mount = with_id(look->mounts, id);
	state->mounted = mount != NULL;
	state->mount = mount ? *mount : out_of_view(id);
	if (mount)
		return true;
	r = look->listens(&state->mount, look->arg);
	return r == 0 || r == -ETIMEDOUT ||
	       (r == -ECONNREFUSED && strrchr(backing, '/') == backing);
}

static bool take_loop(const struct look *look, const char *name,
		      struct swap_state *state)
{
	char end;

	return sscanf(name, "loop%u%c", &state->loop, &end) == 1 &&
	       loop_read(look->sys, state->loop, "loop/backing_file",
			 state->backing, sizeof(state->backing)) &&
	       is_ours(look, state->backing, state);
}

/* False: none of the devices is ours. -errno. */
static int find_loop(const struct look *look, struct swap_state *state)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/block", look->sys);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!state->looped && (entry = readdir(dir)))
		state->looped = take_loop(look, entry->d_name, state);
	closedir(dir);
	return 0;
}

int swap_look_in(const struct mounts *mounts, const char *proc, const char *sys,
		 int (*listens)(const struct mount *mount, void *arg),
		 void *arg, struct swap_state *ret_state)
{
	struct look look = {mounts, proc, sys, listens, arg};
	struct swap_state state = {0};
	const struct mount *mount;
	char device[LOOP_PATH_MAX];
	int r = find_loop(&look, &state);

	if (r < 0)
		return r;
	if (!state.looped) {
		mount = at_our_point(mounts);
		state = (struct swap_state){.mounted = mount != NULL};
		state.mount = mount ? *mount : out_of_view(0);
		*ret_state = state;
		return 0;
	}
	r = swaps_find(proc, loop_path(state.loop, device), &state.swap);
	if (r < 0 && r != -ENOENT)
		return r;
	state.on = r == 0;
	*ret_state = state;
	return 0;
}

static int try_daemon(const struct mount *mount, void *arg)
{
	const struct context *ctx = arg;
	struct client client;
	int r = client_open(&client, mount, ctx->timeout_ms);

	if (r == 0)
		client_close(&client);
	return r;
}

bool swap_is_dead(struct context *ctx, const struct swap_state *state)
{
	int r = try_daemon(&state->mount, ctx);

	return r == -ECONNREFUSED || r == -ENOENT;
}

int swap_look(struct context *ctx, struct swap_state *ret_state)
{
	int code, r;

	if (ctx->mounts_known)
		mounts_fini(&ctx->mounts);
	ctx->mounts_known = false;
	code = context_mounts(ctx);
	if (code != EXIT_DONE)
		return code;
	r = swap_look_in(&ctx->mounts, "/proc", "/sys", try_daemon, ctx,
			 ret_state);
	if (r < 0)
		say("/sys/block or /proc/swaps: %s", strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int swap_lock(void)
{
	int fd;

	if (mkdir(FOLDFS_SOCKET_DIR, 0755) < 0 && errno != EEXIST) {
		say(FOLDFS_SOCKET_DIR ": %s", strerror(errno));
		return -1;
	}
	fd = open(SWAP_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		say(SWAP_LOCK ": %s", strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	say("another 'foldctl swap' is at work");
	close(fd);
	return -1;
}
