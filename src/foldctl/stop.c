/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl stop: unmounts as umount(8) would, which a mount in use refuses, and
 * waits for the daemon's end, when all its memory has been given back.
 *
 * --lazy asks the daemon to do as after SIGTERM: out of view at once, ended
 * with the last file that is open. --dead clears away what a daemon that was
 * killed has left, and touches nothing else.
 *
 * The numbers of a mount that has gone belong to the next one at once: what
 * bears one of them is another mount, unless it was there before.
 */
#include "base/clock.h"
#include "foldctl/foreign.h"
#include "foldctl/term.h"
#include "foldctl/unmount.h"
#include "foldctl/verbs.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For what takes long and still comes to an end: memory is given back. */
#define PATIENCE_MS 600000
/* A daemon that answers so often after the unmount does not end. */
#define ANSWERS_MAX 3

/* What is to be stopped. */
struct stop {
	struct context *ctx;
	struct mount mount;
	struct client client;
	int daemon_fd; /* readable when it has ended; -1: nobody can tell */
	bool lazy;
};

static int unmount_or_say(const struct mount *mount)
{
	const char *point = mount->point;
	char word[PATH_MAX];
	int r = unmount(mount, false);

	if (r == -EBUSY)
		say("%s is in use, nothing was done; 'fuser -vm %s' says by "
		    "whom, 'foldctl stop --lazy' takes it out of view",
		    point, foreign_word(point, word, sizeof(word)));
	else if (r == -EPERM)
		say("%s: only root and the mount's owner may stop", point);
	else if (r < 0 && r != -ECANCELED)
		say("%s: cannot unmount: %s", point, strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* --- what is there yet --- */

static bool is_same(const struct mount *a, const struct mount *b)
{
	return a->id == b->id && a->place == b->place &&
	       strcmp(a->point, b->point) == 0;
}

static const struct mount *find(const struct mounts *mounts,
				const struct mount *mount)
{
	for (unsigned i = 0; i < mounts->n; i++)
		if (is_same(&mounts->list[i], mount))
			return &mounts->list[i];
	return NULL;
}

static bool is_there(const struct mount *mount)
{
	struct mounts now;
	bool found;

	if (mounts_read(&now, NULL) < 0)
		return false;
	found = find(&now, mount) != NULL;
	mounts_fini(&now);
	return found;
}

/* Bound to another place as well: then the daemon does not end. */
static int check_other_places(const struct stop *s)
{
	const struct mounts *before = &s->ctx->mounts;

	for (unsigned i = 0; i < before->n; i++) {
		const struct mount *other = &before->list[i];

		if (other->id == s->mount.id && !is_same(other, &s->mount) &&
		    is_there(other)) {
			say("it is still mounted at %s", other->point);
			return EXIT_FAILED;
		}
	}
	return EXIT_DONE;
}

/* The list that @file shows has a mount of this id; then say where. */
static bool tell_of(const struct stop *s, const char *pid)
{
	struct mounts mounts;
	bool found = false;
	char file[64];

	snprintf(file, sizeof(file), "/proc/%.16s/mountinfo", pid);
	if (mounts_read(&mounts, file) < 0)
		return false;
	for (unsigned i = 0; i < mounts.n && !found; i++) {
		found = mounts.list[i].id == s->mount.id;
		if (found && strcmp(pid, "self") == 0)
			say("it is still mounted at %s", mounts.list[i].point);
		else if (found)
			say("%s: unmounted here, but process %s has it mounted "
			    "in another mount namespace",
			    s->mount.point, pid);
	}
	mounts_fini(&mounts);
	return found;
}

static bool tell_where_it_is(const struct stop *s)
{
	bool found = tell_of(s, "self");
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && !found && (entry = readdir(proc)))
		found = isdigit((unsigned char)*entry->d_name) &&
			tell_of(s, entry->d_name);
	if (proc)
		closedir(proc);
	return found;
}

/* --- waiting --- */

/* The kernel tells of changes of the list by POLLPRI. */
static int wait_out_of_view(const struct stop *s)
{
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	struct pollfd p[] = {
		{.fd = fd, .events = POLLPRI},
		{.fd = s->daemon_fd, .events = POLLIN},
	};
	uint64_t end = clock_ns() + PATIENCE_MS * (NS_PER_S / 1000);
	bool there;

	if (fd < 0) {
		say("/proc/self/mountinfo: %s", strerror(errno));
		return EXIT_FAILED;
	}
	progress("%s: waiting for the unmount", s->mount.point);
	while ((there = is_there(&s->mount)) && !p[1].revents &&
	       clock_ns() < end)
		poll(p, ARRAY_SIZE(p), 1000);
	progress_end();
	close(fd);
	if (!there || p[1].revents)
		return EXIT_DONE;
	say("%s: the daemon does not unmount it; its log says why",
	    s->mount.point);
	return EXIT_FAILED;
}

static bool still_answers(struct stop *s)
{
	json_t *answer;

	if (client_ask(&s->client, "hello", &answer) < 0)
		return false;
	json_decref(answer);
	return true;
}

/* Its end is when its memory is free again. It does not come while the mount
 * is anywhere else: the daemon goes on, and answers. */
static int wait_for_end(struct stop *s)
{
	struct pollfd p = {.fd = s->daemon_fd, .events = POLLIN};
	uint64_t end = clock_ns() + PATIENCE_MS * (NS_PER_S / 1000);
	unsigned answers = 0;

	while (clock_ns() < end) {
		int r = poll(&p, 1, (int)s->ctx->timeout_ms);

		if (r > 0)
			return EXIT_DONE;
		if (r < 0 || !still_answers(s))
			continue;
		if (tell_where_it_is(s))
			return EXIT_FAILED;
		if (++answers < ANSWERS_MAX)
			continue;
		say("%s: unmounted here, but its daemon goes on: an overlay or "
		    "another mount namespace has it",
		    s->mount.point);
		return EXIT_FAILED;
	}
	say("%s: unmounted, but the daemon, process %d, does not end",
	    s->mount.point, (int)client_peer(&s->client));
	return EXIT_NO_ANSWER;
}

/* --- the verb --- */

/* What the daemon unmounts is where it mounted, whichever place was named. */
static void choose_own_place(struct stop *s, const json_t *hello)
{
	const struct mounts *mounts = &s->ctx->mounts;
	const char *point = answer_text(hello, "mountpoint");

	for (unsigned i = 0; point && i < mounts->n; i++)
		if (mounts->list[i].id == s->mount.id &&
		    strcmp(mounts->list[i].point, point) == 0)
			s->mount = mounts->list[i];
}

static int stop_lazily(struct stop *s)
{
	json_t *answer;
	int code = unmount_check(&s->mount);

	if (code == EXIT_DONE)
		code = context_ask(&s->mount, &s->client, "stop", &answer);
	if (code != EXIT_DONE)
		return code;
	json_decref(answer);
	code = wait_out_of_view(s);
	return code == EXIT_DONE ? check_other_places(s) : code;
}

static int stop_now(struct stop *s)
{
	int code = unmount_check(&s->mount);

	if (code == EXIT_DONE)
		code = unmount_or_say(&s->mount);
	if (code == EXIT_DONE)
		code = check_other_places(s);
	if (code != EXIT_DONE || s->daemon_fd < 0)
		return code;
	progress("%s: waiting for the daemon to end", s->mount.point);
	code = wait_for_end(s);
	progress_end();
	return code;
}

static int stop(struct stop *s)
{
	json_t *hello;
	int code = context_open(s->ctx, &s->mount, &s->client);

	if (code != EXIT_DONE)
		return code;
	/* First: with a daemon that hangs the unmount would hang, and a wish
	 * that nobody waits for any more would come true later. */
	code = context_ask(&s->mount, &s->client, "hello", &hello);
	if (code == EXIT_DONE) {
		s->daemon_fd = (int)syscall(SYS_pidfd_open,
					    client_peer(&s->client), 0);
		if (s->lazy)
			choose_own_place(s, hello);
		json_decref(hello);
		code = s->lazy ? stop_lazily(s) : stop_now(s);
		if (s->daemon_fd >= 0)
			close(s->daemon_fd);
	}
	client_close(&s->client);
	return code;
}

/* --- what a daemon that was killed has left --- */

/* The kernel has lost the daemon. Asked only when no daemon listens: one that
 * is stuck would hang us. */
static bool has_lost_its_daemon(const char *point)
{
	struct statfs fs;

	return statfs(point, &fs) < 0 &&
	       (errno == ENOTCONN || errno == ECONNABORTED);
}

static int clear_dead(struct context *ctx, const struct mount *mount)
{
	struct client client;
	int r = client_open(&client, mount, ctx->timeout_ms);
	bool hangs = false;

	if (r == 0) {
		hangs = client_is_killed(&client);
		client_close(&client);
	}
	if (!hangs && ((r != -ECONNREFUSED && r != -ENOENT) ||
		       !has_lost_its_daemon(mount->point)))
		return EXIT_DONE;
	if (unmount_check(mount) != EXIT_DONE)
		return EXIT_FAILED;
	r = hangs ? unmount_abort(mount) : 0;
	/* It may have been all that there was to do. */
	if (r == 0 && (!hangs || is_there(mount)))
		r = unmount(mount, true);
	if (r < 0 && r != -ECANCELED)
		say("%s: cannot unmount: %s", mount->point, strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* What lies uppermost at exactly @word. That nothing does is what was wanted. */
static int stop_dead(struct context *ctx, const char *word)
{
	char here[PATH_MAX], path[PATH_MAX];
	const struct mount *found = NULL;
	int code;

	if (!word)
		return context_usage(ctx, "stop --dead needs a mount point");
	code = context_mounts(ctx);
	if (code != EXIT_DONE)
		return code;
	if (!getcwd(here, sizeof(here)))
		strcpy(here, "/");
	if (path_normal(here, word, path, sizeof(path)) < 0)
		return context_usage(ctx, "%s: too long", word);
	for (unsigned i = 0; i < ctx->mounts.n; i++)
		if (strcmp(ctx->mounts.list[i].point, path) == 0)
			found = &ctx->mounts.list[i];
	return found ? clear_dead(ctx, found) : EXIT_DONE;
}

struct request {
	bool lazy, dead;
};

static int parse(struct context *ctx, int argc, char **argv,
		 struct request *req)
{
	static const struct option longs[] = {
		{"lazy", no_argument, NULL, 'l'},
		{"dead", no_argument, NULL, 'd'},
		CONTEXT_OPTIONS,
		{0},
	};
	static const struct verb_help help = {
		" -l, --lazy           out of view now, ends with the last open "
		"file\n"
		" -d, --dead           clear away the mount of a daemon that is "
		"gone, and do\n"
		"                      nothing to any other\n",
		NULL};
	int c, code = CONTEXT_GO_ON;

	while (code == CONTEXT_GO_ON &&
	       (c = getopt_long(argc, argv, "ld" CONTEXT_SHORT, longs, NULL)) !=
		       -1) {
		if (c == 'l')
			req->lazy = true;
		else if (c == 'd')
			req->dead = true;
		else
			code = context_option(ctx, c, optarg, &help);
	}
	return code == CONTEXT_GO_ON ? context_one_mount(ctx, argc, argv)
				     : code;
}

int verb_stop(struct context *ctx, int argc, char **argv)
{
	struct request req = {0};
	struct stop s = {.ctx = ctx};
	const struct mount *mount;
	int code = parse(ctx, argc, argv, &req);

	if (code != CONTEXT_GO_ON)
		return code;
	if (req.dead)
		return stop_dead(ctx, argv[optind]);
	code = context_mount(ctx, argv[optind], &mount);
	if (code != EXIT_DONE)
		return code;
	s.lazy = req.lazy;
	s.mount = *mount;
	return stop(&s);
}
