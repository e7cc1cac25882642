/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl stop: unmounts as umount(8) would, which a mount in use refuses, and
 * waits for the daemon's end, when all its memory has been given back.
 *
 * --lazy asks the daemon to do as after SIGTERM: out of view at once, ended
 * with the last file that is open.
 */
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int exec_fusermount(const char *point)
{
	static char name[] = "fusermount3", flag[] = "-u", end[] = "--";
	char *argv[] = {name, flag, end, NULL, NULL};
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

static int unmount(const char *point)
{
	/* The mount point may be a link by now: that is not the mount. */
	if (umount2(point, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return exec_fusermount(point);
}

static int unmount_or_say(const char *point)
{
	int r = unmount(point);

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

int verb_stop(struct context *ctx, int argc, char **argv)
{
	static const struct option longs[] = {
		{"lazy", no_argument, NULL, 'l'},
		CONTEXT_OPTIONS,
		{0},
	};
	static const struct verb_help help = {
		" -l, --lazy           out of view now, ends with the last open "
		"file\n",
		NULL};
	const struct mount *mount;
	bool lazy = false;
	int c, code;

	while ((c = getopt_long(argc, argv, "l" CONTEXT_SHORT, longs, NULL)) !=
	       -1) {
		if (c == 'l') {
			lazy = true;
			continue;
		}
		code = context_option(ctx, c, optarg, &help);
		if (code != CONTEXT_GO_ON)
			return code;
	}
	if (argc - optind > 1)
		return context_usage(ctx, "%s: stop takes one mount",
				     argv[optind + 1]);
	code = context_mount(ctx, argv[optind], &mount);
	return code == EXIT_DONE ? stop(ctx, mount, lazy) : code;
}
