/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loop devices, by the kernel's own interface and what /sys shows of them.
 */
#ifndef SRC_FOLDCTL_LOOP_H
#define SRC_FOLDCTL_LOOP_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>

/* What a page of swap is, so that no request is a part of one. */
#define LOOP_BLOCK_BYTES 4096
#define LOOP_PATH_MAX 24

struct loop {
	unsigned number;
	int fd;
};

/* "/dev/loop7" into @path; returns @path. */
const char *loop_path(unsigned number, char path[LOOP_PATH_MAX]);

/*
 * A free device on the file @fd with direct I/O, looked up whether it is so.
 * It goes with the last who has it open, which for now is ret_loop->fd: nothing
 * is left of a program that ends in between. An exit code; has said why.
 */
int loop_attach(int fd, const char *name, struct loop *ret_loop) MUST_CHECK;
/* The device is somebody else's to keep. */
void loop_close(struct loop *loop);
/* Let the file go, if it is still @backing; with others that have the device
 * open, once they have closed it. -errno. */
int loop_clear(unsigned number, const char *backing) MUST_CHECK;

/* The first line of /sys/block/loopN/@name; false: there is none. */
bool loop_read(const char *sys, unsigned number, const char *name, char *line,
	       size_t cap) MUST_CHECK;
bool loop_has_direct_io(const char *sys, unsigned number);
bool loop_can_discard(const char *sys, unsigned number);

#endif
