/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the store's tests stand on: arena, pool of any kind, sets, streams and
 * a store, with bodies in records of the arena as a tree would keep them; and
 * all of it again after everything private is gone.
 */
#ifndef TESTS_LIB_STORE_RIG_H
#define TESTS_LIB_STORE_RIG_H

#include "base/budget.h"
#include "store/store.h"

#define RIG_FILES 8
#define RIG_STREAMS 4
#define RIG_SPAN (-1) /* the real pool; else enum pool_fake_kind */

struct store_rig_options {
	int pool_kind;
	uint64_t pool_bytes;  /* address space of the pool; 0: 64 MiB */
	uint64_t mem_bytes;   /* the budget; 0: none to speak of */
	uint64_t limit_bytes; /* the store's size limit; 0: the same */
};

struct store_rig {
	struct store_rig_options options;
	struct budget budget;
	struct arena *arena;
	struct pool *pool;
	struct sets *sets;
	struct streams *streams;
	struct store *store;
	struct stream *stream; /* slot 0's, held all the time */
	uint32_t body_ix[RIG_FILES];
};

/* "span", "poison", ...: what a test's first argument says. */
int store_rig_kind(const char *name);

/* Ends the test on any error. New objects are made with lz4. */
void store_rig_up(struct store_rig *rig,
		  const struct store_rig_options *options);
/* Discards all files; nothing may be left then, and every byte of the budget
 * must be given back. */
void store_rig_down(struct store_rig *rig);

struct file store_rig_file(const struct store_rig *rig, unsigned i);

/* New objects are made with @text ("zstd:3") from here on. */
void store_rig_use(struct store_rig *rig, const char *text);

/*
 * Drop all that is private, attach to the same memory and rebuild. Gives 0 or
 * what store_rebuild_body() said first.
 */
int store_rig_attach(struct store_rig *rig);

/* All that store_check_body(), pool_check() and the sums say; ends the test
 * with a message if something does not add up. */
void store_rig_check(struct store_rig *rig);

#endif
