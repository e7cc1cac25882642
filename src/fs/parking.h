/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * READs that wait for the backing file without their worker: parked, while it
 * serves others, and carried out when what they need has been read.
 *
 * Each worker has a parking of its own, and its thread alone is in it. It comes
 * with the file, at the next edge of the worker's work, and goes with it.
 */
#ifndef SRC_FS_PARKING_H
#define SRC_FS_PARKING_H

#include "fs/io.h"

/* Between two requests: the parking comes or goes. Without RAM for it there is
 * none, and reads wait for the disk in their worker. */
void parking_follow(struct worker *w);

/* True: it is parked, and will be answered by the calls below; false: nothing of
 * it needs the disk, or there is no place. */
bool parking_take(struct worker *w, const struct io_request *request,
		  const struct fuse_read_in *in) MUST_CHECK;
/* Answer those whose pages have come. True: there were some. */
bool parking_serve(struct worker *w);
/* The worker is about to rest: all that is parked is being read. */
void parking_rest(struct worker *w);
/* Is something being read? */
bool parking_reads(const struct worker *w);
/* Is there one to be answered? A few loads. */
bool parking_has_some(const struct worker *w);
/* The worker is about to leave: wait for all and answer them; no parking is
 * left. */
void parking_leave(struct worker *w);

/* How many wait, of all workers. */
uint64_t parking_waiting(const struct fs *fs);

#endif
