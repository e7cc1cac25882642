/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mount in the kernel.
 *
 * fuse_session_unmount() closes the session's descriptor, which workers may
 * share, so taking the mount away while they run is done by hand.
 */
#include "fs/mount.h"
#include "base/heap.h"
#include "base/log.h"
#include "fs/mount_id.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOUNTS "/proc/self/mountinfo"

extern char **environ;

/* Commas and backslashes of a value, as libfuse wants them. */
static char *escape(char *to, const char *value)
{
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			*to++ = '\\';
		*to++ = *value;
	}
	*to = '\0';
	return to;
}

char *mount_options(const struct fs_config *config)
{
	static const char fixed[] =
		",subtype=foldfs,default_permissions,allow_other,";
	const char *kernel = config->kernel_options;
	size_t n = sizeof("fsname=") + 2 * strlen(config->source) +
		   sizeof(fixed) + strlen(kernel);
	char *text = heap_alloc(n);
	char *to;

	if (!text)
		return NULL;
	to = stpcpy(text, "fsname=");
	to = escape(to, config->source);
	to = stpcpy(to, ",subtype=foldfs,default_permissions");
	if (config->allow_other)
		to = stpcpy(to, ",allow_other");
	if (*kernel) {
		*to++ = ',';
		strcpy(to, kernel);
	}
	return text;
}

/* libfuse's words in our log. */
static PRINTF_LIKE(2, 0) void fuse_says(enum fuse_log_level level,
					const char *fmt, va_list args)
{
	char line[512];
	size_t n;

	vsnprintf(line, sizeof(line), fmt, args);
	n = strlen(line);
	while (n > 0 && line[n - 1] == '\n')
		line[--n] = '\0';
	if (level <= FUSE_LOG_ERR)
		log_limited(LOG_AT_ERROR, "%s", line);
	else if (level <= FUSE_LOG_WARNING)
		log_limited(LOG_AT_WARNING, "%s", line);
	else
		log_debug("%s", line);
}

static int open_session(struct fs *fs)
{
	char *text = mount_options(fs->config);
	char program[] = "foldfs", minus_o[] = "-o";
	char *argv[] = {program, minus_o, text, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	if (!text)
		return -ENOMEM;
	fs->se = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), fs);
	fuse_opt_free_args(&args);
	heap_free(text);
	return fs->se ? 0 : -EINVAL;
}

/* Who mounts in the same place at this moment may be what the list ends with:
 * it is asked only where the connection does not tell. 0: unknown. */
static unsigned find_id(const struct fs *fs)
{
	char info[32];
	unsigned id;

	snprintf(info, sizeof(info), "/proc/self/fdinfo/%d", fs->fuse_fd);
	if (mount_id_by_connection(info, &id) &&
	    mount_id(MOUNTS, fs->config->mountpoint, &id))
		return 0;
	return id;
}

static int mount_session(struct fs *fs)
{
	static const struct fuse_custom_io io = {
		.writev = reply_writev,
		.read = reply_no_read,
	};
	int flags, r;

	errno = 0;
	if (fuse_session_mount(fs->se, fs->config->mountpoint) != 0) {
		r = geteuid() == 0 && errno ? -errno : -EPERM;
		log_error("%s: cannot mount%s%s", fs->config->mountpoint,
			  r == -EPERM ? "" : ": ",
			  r == -EPERM ? "" : strerror(-r));
		return r;
	}
	fs->fuse_fd = fuse_session_fd(fs->se);
	fs->mount_id = find_id(fs);
	flags = fcntl(fs->fuse_fd, F_GETFL);
	if (flags < 0 || fcntl(fs->fuse_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return fuse_session_custom_io(fs->se, &io, fs->fuse_fd);
}

int mount_open(struct fs *fs)
{
	int r;

	fuse_set_log_func(fuse_says);
	r = open_session(fs);
	if (r) {
		log_error("%s: cannot start a session: %s",
			  fs->config->mountpoint, strerror(-r));
		return r;
	}
	return mount_session(fs);
}

/*
 * End the connection of a mount that is detached and still in use. libfuse
 * would unmount it once more and complain; it leaves alone what it takes for
 * gone, and that is what a pipe without a reader looks like.
 */
static void cut_off(struct fs *fs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	close(ends[0]);
	dup3(ends[1], fs->fuse_fd, O_CLOEXEC);
	close(ends[1]);
}

void mount_close(struct fs *fs)
{
	if (!fs->se)
		return;
	if (atomic_load_explicit(&fs->detached, memory_order_acquire))
		cut_off(fs);
	/* Does nothing to a mount that has gone already. */
	fuse_session_unmount(fs->se);
	fuse_session_destroy(fs->se);
	fs->se = NULL;
}

/* An ordinary user's umount: the program that mounted for him. */
static int run_fusermount(const char *mountpoint, bool lazy)
{
	char program[] = "fusermount3", how[8], dashes[] = "--";
	char *point = heap_strdup(mountpoint);
	char *argv[] = {program, how, dashes, point, NULL};
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int status, r;

	if (!point)
		return -ENOMEM;
	strcpy(how, lazy ? "-uqz" : "-uq");
	/* Our signals are blocked; its own shall not be. */
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = -posix_spawnp(&pid, program, NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	heap_free(point);
	if (r)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

static int detach_once(const char *mountpoint, bool lazy)
{
	int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);

	if (umount2(mountpoint, flags) == 0)
		return 0;
	/* Gone already: somebody was faster. */
	if (errno == EINVAL || errno == ENOENT)
		return 0;
	if (errno == EPERM)
		return run_fusermount(mountpoint, lazy);
	return -errno;
}

int mount_detach(struct fs *fs, bool *ret_busy)
{
	bool busy;
	int r;

	/* What lies over it is not ours to take away. */
	if (mount_is_covered(MOUNTS, fs->config->mountpoint, fs->mount_id)) {
		log_error("%s: something else is mounted over it",
			  fs->config->mountpoint);
		return -EBUSY;
	}
	r = detach_once(fs->config->mountpoint, false);
	busy = r == -EBUSY;

	if (busy)
		r = detach_once(fs->config->mountpoint, true);
	if (r)
		return r;
	atomic_store_explicit(&fs->detached, true, memory_order_release);
	*ret_busy = busy;
	return 0;
}
