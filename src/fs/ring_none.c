/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where there is no liburing: no mount has rings. */
#include "base/check.h"
#include "fs/ring.h"
#include "fs/state.h"
#include <errno.h>

int rings_new(struct fs *fs UNUSED, unsigned nr_workers UNUSED,
	      const char **ret_why)
{
	*ret_why = "this build was made without liburing";
	return -EOPNOTSUPP;
}

void rings_free(struct fs *fs UNUSED)
{
}

uint64_t rings_bytes(unsigned nr_workers UNUSED)
{
	return 0;
}

void rings_begin(struct fs *fs UNUSED)
{
	invariant(!"rings begin where there are none");
}

bool rings_began(const struct fs *fs UNUSED)
{
	return false;
}

int rings_fd(const struct fs *fs UNUSED, unsigned slot UNUSED)
{
	return -1;
}

void ring_join(struct worker *w UNUSED)
{
}

ssize_t ring_next(struct worker *w UNUSED)
{
	return 0;
}

bool ring_looks_aside(struct worker *w UNUSED)
{
	return true;
}

void ring_look_aside(struct worker *w UNUSED)
{
}

void ring_flush(struct worker *w UNUSED)
{
}

void ring_sleep(struct worker *w UNUSED, int wait_ms UNUSED)
{
}

unsigned ring_holds(const struct worker *w UNUSED)
{
	return 0;
}

void ring_open(struct worker *w UNUSED, struct ring_entry *entry)
{
	invariant(!entry);
}

void ring_reply(struct ring_entry *entry UNUSED, const struct iovec *iov UNUSED,
		int count UNUSED)
{
	invariant(!"a reply by a ring where there is none");
}
