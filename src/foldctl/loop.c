/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes loop devices and takes them down.
 *
 * The kernel leaves direct I/O out without a word where it cannot have it, and
 * then each page would be held a second time in the page cache: so it is looked
 * up.
 */
#include "foldctl/loop.h"
#include "foldctl/exit.h"
#include "foldctl/term.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* So often somebody else may be faster with the device that was free. */
#define TRIES_MAX 64

const char *loop_path(unsigned number, char path[LOOP_PATH_MAX])
{
	snprintf(path, LOOP_PATH_MAX, "/dev/loop%u", number);
	return path;
}

bool loop_read(const char *sys, unsigned number, const char *name, char *line,
	       size_t cap)
{
	char path[PATH_MAX];
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path), "%s/block/loop%u/%s", sys, number, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(line, (int)cap, f) != NULL;
	fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static unsigned long read_number(const char *sys, unsigned number,
				 const char *name)
{
	char line[32];

	if (!loop_read(sys, number, name, line, sizeof(line)))
		return 0;
	return strtoul(line, NULL, 10);
}

bool loop_has_direct_io(const char *sys, unsigned number)
{
	return read_number(sys, number, "loop/dio") == 1;
}

bool loop_can_discard(const char *sys, unsigned number)
{
	return read_number(sys, number, "queue/discard_max_bytes") > 0;
}

/* --- making one --- */

static int get_free(unsigned *ret_number)
{
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n;

	if (fd < 0) {
		int e = errno;

		say("/dev/loop-control: %s%s", strerror(e),
		    e == EPERM || e == EACCES
			    ? ": the control group of this shell or container "
			      "does not allow loop devices"
			    : ": the kernel has no loop devices; 'modprobe "
			      "loop' may bring them");
		return EXIT_FAILED;
	}
	n = ioctl(fd, LOOP_CTL_GET_FREE);
	if (n < 0)
		say("/dev/loop-control: no free loop device: %s",
		    strerror(errno));
	close(fd);
	if (n < 0)
		return EXIT_FAILED;
	*ret_number = (unsigned)n;
	return EXIT_DONE;
}

static int open_device(struct loop *loop)
{
	char path[LOOP_PATH_MAX];
	int e;

	loop->fd = open(loop_path(loop->number, path), O_RDWR | O_CLOEXEC);
	if (loop->fd >= 0)
		return EXIT_DONE;
	e = errno;
	if (e == ENOENT)
		say("%s is free and has no file: 'mknod %s b 7 %u'", path, path,
		    loop->number);
	else
		say("%s: %s%s", path, strerror(e),
		    e == EPERM ? ": the control group of this shell or "
				 "container does not allow it"
			       : "");
	return EXIT_FAILED;
}

static int configure(const struct loop *loop, int fd, const char *name)
{
	struct loop_config config = {
		.fd = (unsigned)fd,
		.block_size = LOOP_BLOCK_BYTES,
		.info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR,
	};

	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", name);
	return ioctl(loop->fd, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

static int verify(const struct loop *loop)
{
	char path[LOOP_PATH_MAX];

	loop_path(loop->number, path);
	if (!loop_has_direct_io("/sys", loop->number))
		say("%s: the kernel does no direct I/O here: each page of swap "
		    "would be held a second time",
		    path);
	else if (read_number("/sys", loop->number,
			     "queue/logical_block_size") != LOOP_BLOCK_BYTES)
		say("%s: the kernel gives it no blocks of %d bytes", path,
		    LOOP_BLOCK_BYTES);
	else if (!loop_can_discard("/sys", loop->number))
		say("%s: it cannot discard, so memory of freed pages would "
		    "never come back",
		    path);
	else
		return EXIT_DONE;
	return EXIT_FAILED;
}

static int attach_once(int fd, const char *name, struct loop *loop, int *ret_r)
{
	int code = get_free(&loop->number);

	if (code == EXIT_DONE)
		code = open_device(loop);
	if (code != EXIT_DONE)
		return code;
	*ret_r = configure(loop, fd, name);
	if (*ret_r < 0)
		close(loop->fd);
	return EXIT_DONE;
}

int loop_attach(int fd, const char *name, struct loop *ret_loop)
{
	struct loop loop = {.fd = -1};
	int r = -EBUSY, code = EXIT_DONE;

	for (unsigned i = 0; i < TRIES_MAX && r == -EBUSY; i++) {
		code = attach_once(fd, name, &loop, &r);
		if (code != EXIT_DONE)
			return code;
	}
	if (r < 0) {
		say("/dev/loop%u on %s: %s%s", loop.number, name, strerror(-r),
		    r == -ENOTTY || r == -EINVAL ? ": it takes Linux 5.8" : "");
		return EXIT_FAILED;
	}
	code = verify(&loop);
	if (code != EXIT_DONE) {
		close(loop.fd);
		return code;
	}
	*ret_loop = loop;
	return EXIT_DONE;
}

/* --- and taking it down --- */

void loop_close(struct loop *loop)
{
	if (loop->fd >= 0)
		close(loop->fd);
	loop->fd = -1;
}

int loop_clear(unsigned number, const char *backing)
{
	char path[LOOP_PATH_MAX], now[PATH_MAX];
	int fd = open(loop_path(number, path), O_RDWR | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	/* Nobody gives it another file while it is open: what it has now it
	 * has when it is cleared. */
	if (loop_read("/sys", number, "loop/backing_file", now, sizeof(now)) &&
	    strcmp(now, backing) == 0 && ioctl(fd, LOOP_CLR_FD) < 0 &&
	    errno != ENXIO)
		r = -errno;
	close(fd);
	return r;
}
