/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a control socket lives. The process's umask is nobody's business. */
#include "ctl/place.h"
#include "base/clock.h"
#include "foldfs/control.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAVING_STEP_MS 20

static int make_dir(const char *dir, mode_t mode)
{
	if (mkdir(dir, mode) == 0)
		return chmod(dir, mode) < 0 ? -errno : 0;
	return errno == EEXIST ? 0 : -errno;
}

/* Where others may write they could put a socket of their own. */
static int check_dir(const char *dir, uid_t user)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid != user || (st.st_mode & 022) ? -EPERM : 0;
}

int place_dir(uid_t user, const char *runtime, char dir[PLACE_MAX])
{
	mode_t mode = 0755;
	int n, r;

	if (user == 0) {
		n = snprintf(dir, PLACE_MAX, "%s", FOLDFS_SOCKET_DIR);
	} else {
		dir[0] = '\0';
		if (!runtime || runtime[0] != '/')
			return -EDESTADDRREQ;
		n = snprintf(dir, PLACE_MAX, "%s/%s", runtime,
			     FOLDFS_SOCKET_USER_DIR);
		mode = 0700;
	}
	if (n >= (int)PLACE_MAX)
		return -ENAMETOOLONG;
	r = make_dir(dir, mode);
	return r ? r : check_dir(dir, user);
}

/* Whether somebody listens there. */
static bool answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return true;
	r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	r = r < 0 ? -errno : 0;
	close(fd);
	return r != -ECONNREFUSED && r != -ENOENT;
}

static int bind_once(int fd, const struct sockaddr_un *address)
{
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return 0;
	return -errno;
}

/*
 * The kernel gives a minor number again as soon as its mount has gone, a
 * moment before that mount's daemon takes its socket away: so one that answers
 * is given some time.
 */
static int bind_in_place(int fd, const struct sockaddr_un *address,
			 uint64_t patience_ns)
{
	uint64_t end = clock_ns() + patience_ns;
	int r;

	while ((r = bind_once(fd, address)) == -EADDRINUSE) {
		if (!answers(address)) {
			if (unlink(address->sun_path) < 0 && errno != ENOENT)
				return -errno;
		} else if (clock_ns() < end) {
			poll(NULL, 0, LEAVING_STEP_MS);
		} else {
			return r;
		}
	}
	return r;
}

static int open_at(int fd, const struct sockaddr_un *address,
		   uint64_t patience_ns, struct place *place)
{
	struct stat st;
	int r = bind_in_place(fd, address, patience_ns);

	if (r)
		return r;
	if (lstat(address->sun_path, &st) < 0 ||
	    chmod(address->sun_path, 0666) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		unlink(address->sun_path);
		return r;
	}
	place->fd = fd;
	place->dev = st.st_dev;
	place->ino = st.st_ino;
	strcpy(place->path, address->sun_path);
	return 0;
}

int place_open(const char *dir, unsigned id, uint64_t patience_ns,
	       struct place *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n, fd, r;

	n = snprintf(address.sun_path, PLACE_MAX, "%s/%u%s", dir, id,
		     FOLDFS_SOCKET_SUFFIX);
	if (n >= (int)PLACE_MAX)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = open_at(fd, &address, patience_ns, ret);
	if (r)
		close(fd);
	return r;
}

void place_remove(const struct place *place)
{
	struct stat st;

	if (lstat(place->path, &st) == 0 && st.st_dev == place->dev &&
	    st.st_ino == place->ino)
		unlink(place->path);
}

void place_close(struct place *place)
{
	close(place->fd);
	place->fd = -1;
}
