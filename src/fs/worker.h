/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a slot of the crew needs before it can serve: the steps between
 * offline and running, in the crew's order.
 */
#ifndef SRC_FS_WORKER_H
#define SRC_FS_WORKER_H

#include "fs/state.h"

extern const struct crew_ops worker_crew;

/* RAM that a slot takes which comes up for the first time now. */
uint64_t worker_bytes(struct fs *fs);
/* What @nr workers, none of which is up, must find of mem_limit. */
uint64_t workers_need_bytes(struct fs *fs, unsigned nr);
/* Before the crew is made. */
void workers_init(struct fs *fs);
/* Closes the clones; the session is over and the crew is gone. */
void workers_fini(struct fs *fs);
/* A request goes into the buffers of its slot, and comes from there. */
void worker_own_buffers(struct worker *w);
/* What the budget has, without what is charged and not in RAM: parts of buffers
 * and streams that only large requests use, of which there was none lately. */
uint64_t workers_used_bytes(struct fs *fs);
/* Of requests with no more data than this none is large: names, attributes, most
 * small files. More is soon touched again, and at rest it would be the largest
 * part of what a worker takes. */
#define WORKER_SMALL_BYTES (16u << 10)
/* For swap: nothing of them goes back, also where memory is not locked, for what
 * is short when swap is written to is memory. */
bool worker_keeps_buffers(const struct worker *w);
/* By a worker without a request: what only large ones use goes back, until the
 * next one touches it. */
void worker_shrink_buffers(struct worker *w);
/* What of a worker belongs to the request that serves others meanwhile. */
struct worker_outer {
	char *buffers, *in, *out;
	struct ring_entry *entry;
	unsigned flags;
	bool lends;
	uint64_t loan_bytes;
};
/* Other buffers for requests served inside one (fs/room.h); false when there is
 * no memory: one worker at a time has them even when mem_limit is reached. What
 * was there is in @ret_outer, and comes back after. */
bool worker_lend_buffers(struct worker *w,
			 struct worker_outer *ret_outer) MUST_CHECK;
void worker_return_buffers(struct worker *w, const struct worker_outer *outer);
/* For a parking (fs/parking.h) of a worker that is up: mem_limit is asked, and
 * some room stays for data. -ENOSPC. */
int worker_charge_parking(struct worker *w, uint64_t bytes) MUST_CHECK;
void worker_uncharge_parking(struct worker *w);
/* Charge each slot for the stream and buffers it holds now: after a change of
 * codec or of what is kept. */
void workers_charge(struct fs *fs);
/* The same, and @bytes are given back that were taken for that: nobody sees the
 * one without the other. */
void workers_charge_instead(struct fs *fs, uint64_t bytes);

#endif
