/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl stop: unmounts as umount(8) would, which a mount in use refuses, and
 * waits for the daemon's end, when all its memory has been given back.
 *
 * --lazy asks the daemon to do as after SIGTERM: out of view at once, ended
 * with the last file that is open. --dead clears away what a daemon that was
 * killed has left, and touches nothing else.
 */
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int exec_fusermount(const char *point, bool lazy)
{
	static char name[] = "fusermount3", flag[] = "-u", end[] = "--";
	static char lazily[] = "-uz";
	char *argv[] = {name, lazy ? lazily : flag, end, NULL, NULL};
	char copy[4096];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		snprintf(copy, sizeof(copy), "%s", point);
		argv[3] = copy;
		execvp(name, argv);
		say("fusermount3: %s", strerror(errno));
		_exit(EXIT_FAILED);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	/* It has said why. */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

static int unmount(const char *point, bool lazy)
{
	/* The mount point may be a link by now: that is not the mount. */
	if (umount2(point, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return exec_fusermount(point, lazy);
}

static int unmount_or_say(const char *point)
{
	int r = unmount(point, false);

	if (r == -EBUSY)
		say("%s is in use, nothing was done; 'fuser -vm %s' says by "
		    "whom, 'foldctl stop --lazy' takes it out of view",
		    point, point);
	else if (r < 0 && r != -ECANCELED)
		say("%s: cannot unmount: %s", point, strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* Whether the kernel's list still has it; with @say_where say so. */
static bool is_there(unsigned id, bool say_where)
{
	struct mounts mounts;
	bool found = false;

	if (mounts_read(&mounts, NULL) < 0)
		return false;
	for (unsigned i = 0; i < mounts.n && !found; i++) {
		found = mounts.list[i].id == id;
		if (found && say_where)
			say("it is still mounted at %s", mounts.list[i].point);
	}
	mounts_fini(&mounts);
	return found;
}

/* The kernel tells of changes of the list by POLLPRI. */
static int wait_out_of_view(const struct mount *mount)
{
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	struct pollfd p = {.fd = fd, .events = POLLPRI};

	if (fd < 0) {
		say("/proc/self/mountinfo: %s", strerror(errno));
		return EXIT_FAILED;
	}
	progress("%s: waiting for the unmount", mount->point);
	while (is_there(mount->id, false))
		poll(&p, 1, 1000);
	progress_end();
	close(fd);
	return EXIT_DONE;
}

/* Its end is when its memory is free again. */
static void wait_for_end(const struct mount *mount, int daemon_fd)
{
	struct pollfd p = {.fd = daemon_fd, .events = POLLIN};

	progress("%s: waiting for the daemon to end", mount->point);
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	progress_end();
}

static int stop(struct context *ctx, const struct mount *mount, bool lazy)
{
	struct client client;
	json_t *answer;
	int daemon_fd;
	int code = context_open(ctx, mount, &client);

	if (code != EXIT_DONE)
		return code;
	/* Before the unmount: it would hang with a daemon that hangs. */
	code = context_ask(mount, &client, lazy ? "stop" : "hello", &answer);
	daemon_fd = (int)syscall(SYS_pidfd_open, client_peer(&client), 0);
	client_close(&client);
	if (code == EXIT_DONE) {
		json_decref(answer);
		code = lazy ? wait_out_of_view(mount)
			    : unmount_or_say(mount->point);
	}
	/* Bound to another place as well: then the daemon does not end. */
	if (code == EXIT_DONE && is_there(mount->id, true))
		code = EXIT_FAILED;
	if (daemon_fd < 0)
		return code;
	if (code == EXIT_DONE && !lazy)
		wait_for_end(mount, daemon_fd);
	close(daemon_fd);
	return code;
}

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

	if (r == 0) {
		client_close(&client);
		return EXIT_DONE;
	}
	if ((r != -ECONNREFUSED && r != -ENOENT) ||
	    !has_lost_its_daemon(mount->point))
		return EXIT_DONE;
	r = unmount(mount->point, true);
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

int verb_stop(struct context *ctx, int argc, char **argv)
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
	const struct mount *mount;
	bool lazy = false, dead = false;
	int c, code;

	while ((c = getopt_long(argc, argv, "ld" CONTEXT_SHORT, longs, NULL)) !=
	       -1) {
		if (c == 'l') {
			lazy = true;
			continue;
		}
		if (c == 'd') {
			dead = true;
			continue;
		}
		code = context_option(ctx, c, optarg, &help);
		if (code != CONTEXT_GO_ON)
			return code;
	}
	if (argc - optind > 1)
		return context_usage(ctx, "%s: stop takes one mount",
				     argv[optind + 1]);
	if (dead)
		return stop_dead(ctx, argv[optind]);
	code = context_mount(ctx, argv[optind], &mount);
	return code == EXIT_DONE ? stop(ctx, mount, lazy) : code;
}
