/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pools that break wrong assumptions about the pool: each wraps a real one
 * and is as right as it, for callers that keep to pool.h.
 *
 *	poison	what _begin gave is gone at _end: no access rights
 *	mover	objects change places at every call; the old place is overwritten
 *	window	a thread has two views at once; a third is an invariant
 *	split	an object of two bytes or more always comes in two pieces
 *	copy	nothing is mapped: bytes come in the caller's scratch
 *
 * All may be used by several threads. Views may only be read, and a step past
 * their end (split: either piece's) faults.
 */
#ifndef TESTS_LIB_POOL_FAKES_H
#define TESTS_LIB_POOL_FAKES_H

#include "pool/pool.h"

enum pool_fake_kind {
	POOL_FAKE_POISON,
	POOL_FAKE_MOVER,
	POOL_FAKE_WINDOW,
	POOL_FAKE_SPLIT,
	POOL_FAKE_COPY,
	POOL_FAKE_NR
};

/*
 * A fake over @under, which it owns from here on: pool_free_all() ends both.
 * Handles outlive a rebuild: after an attach wrap the new pool by the same
 * kind, in the same process, and scan. Never fails (ends the test instead).
 * Takes nothing from the heap, so that faults and counts of heap calls are
 * those of the code under test.
 */
struct pool *pool_fake_new(enum pool_fake_kind kind, struct pool *under);

const char *pool_fake_name(enum pool_fake_kind kind);

#endif
