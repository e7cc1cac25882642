/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the store's tests stand on: arena, pool of any kind, sets, streams and
 * a store, with bodies in records of the arena as a tree would keep them; and
 * all of it again after everything private is gone.
 */
#ifndef TESTS_LIB_STORE_RIG_H
#define TESTS_LIB_STORE_RIG_H

#include "base/budget.h"
#include "store/spill.h"
#include "store/store.h"

#define RIG_FILES 8
#define RIG_STREAMS 4
#define RIG_SPAN (-1) /* the real pool; else enum pool_fake_kind */

struct store_rig_options {
	int pool_kind;
	uint64_t pool_bytes;   /* address space of the pool; 0: 64 MiB */
	uint64_t mem_bytes;    /* the budget; 0: none to speak of */
	uint64_t limit_bytes;  /* the store's size limit; 0: the same */
	bool spill;            /* with a backing file, which has no name */
	uint64_t spill_bytes;  /* its cap; 0: none */
	const char *spill_dir; /* where it is; NULL: /tmp */
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
	struct backing *backing;
	char spill_path[32];
	int spill_fd;
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

/* Another file, after backing_close(). */
void store_rig_reopen(struct store_rig *rig);
/* All that @pick says of all files; every error but those of the backing in
 * @ret->err ends the test. */
void store_rig_spill(struct store_rig *rig, const struct spill_pick *pick,
		     struct spill_result *ret);
/* All there is. */
extern const struct spill_pick store_rig_all;
/* How a sweep finds the rig's files; its arg is the rig. */
bool store_rig_with(void *arg, uint32_t ix,
		    void (*call)(void *call_arg, struct file file),
		    void *call_arg);

/* All @n bytes; else the test ends. */
void store_rig_write(struct store_rig *rig, unsigned i, uint64_t offset,
		     const void *buf, size_t n);
/* As store_read(), and all @n bytes are there. */
int store_rig_read(struct store_rig *rig, unsigned i, uint64_t offset,
		   void *buf, size_t n) MUST_CHECK;
/* The slot of a page's entry, NULL if there is none, and its word, which is 0
 * then. Nobody else is in the store. */
_Atomic uint64_t *store_rig_slot(const struct store_rig *rig, unsigned i,
				 uint64_t page);
uint64_t store_rig_word(const struct store_rig *rig, unsigned i, uint64_t page);

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
