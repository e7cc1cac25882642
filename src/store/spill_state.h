/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of a sweep share: its private state.
 *
 * One sweep runs at a time and all of this belongs to its thread. It is made
 * with the file, not with the sweep: when memory is short is when one is
 * needed.
 */
#ifndef SRC_STORE_SPILL_STATE_H
#define SRC_STORE_SPILL_STATE_H

#include "store/state.h"

/* --- spill_flight.c: pages that have been put and are not settled --- */

#define FLIGHT_MOST SPILL_BATCH_MOST
#define FLIGHT_SLOTS (2 * FLIGHT_MOST)

/*
 * A page is not put twice at a time. Else a late completion could meet its own
 * claim again: the file was cut, its node went and with it the generation, and
 * new bytes got the old handle and the next claim's mark.
 */
struct flight {
	unsigned n;
	uint64_t key[FLIGHT_SLOTS]; /* 0: free */
};

bool flight_has(const struct flight *flight, uint32_t file, uint32_t page);
/* Not there yet, and n is below FLIGHT_MOST. */
void flight_add(struct flight *flight, uint32_t file, uint32_t page);
void flight_remove(struct flight *flight, uint32_t file, uint32_t page);

/* --- spill.c --- */

/* Pages claimed in one go, all of one group. */
#define SPILL_BATCH 16u

struct claim {
	uint32_t page;
	uint32_t n_bytes;
	uint16_t tag;
	uint64_t word; /* as claimed: with its mark */
};

struct spill {
	_Atomic bool busy;
	struct spill_pick pick;
	struct spill_files files;
	struct spill_result result;
	unsigned batch; /* most pages in flight */
	uint64_t put_bytes;
	bool spent;         /* the budget has no room for the next page */
	struct books books; /* open while completions are taken in */
	struct flight flight;
	struct claim claim[SPILL_BATCH];
	unsigned n_claims;
	/* POOL_OBJECT_MAX each; the last one is the pool's scratch. */
	char bytes[SPILL_BATCH + 1][POOL_OBJECT_MAX];
};

void spill_at(enum spill_window window);
/* Take in what has been written: how many chunks are still in flight. No lock
 * is held. */
unsigned spill_reap(struct store *store, bool wait);
/* Write all that was put and wait for it. */
void spill_settle(struct store *store);
/*
 * Put one object, waiting for buffers if need be. 0, and it is in flight till
 * spill_done(); else as backing_put(), and the sweep is to end. No lock is held
 * for it may wait.
 */
int spill_put(struct store *store, struct file file, uint32_t page,
	      uint16_t tag, const void *bytes, size_t n_bytes,
	      uint64_t word) MUST_CHECK;

/* --- spill_commit.c --- */

/* backing_ops.done */
void spill_done(void *arg, struct extent extent,
		const struct extent_owner *owner, uint64_t cookie, int err);
/* A claim comes to nothing: take its mark away, if it is still there. */
void spill_unclaim(struct store *store, struct file file, uint32_t page);

#endif
