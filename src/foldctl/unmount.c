/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unmounts as umount(8) and fusermount3(1) do, but never what covers it. */
#include "foldctl/unmount.h"
#include "foldctl/exit.h"
#include "foldctl/term.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

/*
 * What the path leads to; no attribute is asked for, so no daemon is. -errno.
 */
static int top_of(const char *point, unsigned *ret_place)
{
	struct statx top;

	if (statx(AT_FDCWD, point,
		  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0,
		  &top) < 0)
		return -errno;
	if (!(top.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	*ret_place = (unsigned)top.stx_mnt_id;
	return 0;
}

int unmount_check(const struct mount *mount)
{
	unsigned place;
	int r = top_of(mount->point, &place);

	if (r < 0) {
		say("%s: cannot unmount: %s", mount->point, strerror(-r));
		return EXIT_FAILED;
	}
	if (place == mount->place)
		return EXIT_DONE;
	say("%s (id %u, source %s) is covered by another mount, nothing was "
	    "done; 'findmnt -R %s' shows them",
	    mount->point, mount->id, mount->source, mount->point);
	return EXIT_FAILED;
}

/* The owner's way, where it is mounted. */
static int abort_by_control(unsigned id)
{
	char path[64];
	int fd, r = 0;

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", id);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, "1", 1) != 1)
		r = -errno;
	close(fd);
	return r;
}

int unmount_abort(const struct mount *mount)
{
	if (umount2(mount->point, UMOUNT_NOFOLLOW | MNT_FORCE) == 0 ||
	    errno == EBUSY)
		return 0;
	return errno == EPERM ? abort_by_control(mount->id) : -errno;
}

int unmount(const struct mount *mount, bool lazy)
{
	/* The mount point may be a link by now: that is not the mount. */
	if (umount2(mount->point, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) ==
	    0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return geteuid() == mount->owner ? exec_fusermount(mount->point, lazy)
					 : -EPERM;
}
