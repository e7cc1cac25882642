/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parameter sets: which codec and level an object was made with.
 *
 * An object's tag names its set; a set's truth is one word in the arena. A
 * change of codec or level at run time makes a new set, which new objects
 * use at once; old objects decode with theirs. A set goes when its last
 * object has gone, never earlier. Set 0 is raw and always there.
 *
 * Objects are counted in tally rows (one per worker slot), so no store
 * touches a shared cache line; sums are taken when a set might go.
 *
 * The life of a number, and what takes it there:
 *
 *	FREE  -> LIVE	sets_use(), sets_enter_with(): new parameters
 *	LIVE  -> DYING	sets_sweep(): not current, held by no store, no object
 *	DYING -> LIVE	sets_use(), sets_enter_with(): the same parameters
 *	DYING -> FREE	sets_sweep(), after all who held a stream let it go
 *
 * The parameters of a number stay readable until it is used again, and it is
 * not used again before it was FREE: a reader that copied an object's bytes
 * just before the object went can still decode them, as long as it has held
 * its stream since before it looked at the entry.
 */
#ifndef SRC_CODEC_SETS_H
#define SRC_CODEC_SETS_H

#include "arena/arena.h"
#include "codec/codec.h"
#include <stdbool.h>
#include <stdint.h>

#define SETS_MAX 64
#define SET_RAW 0u

struct sets;

/* Reads the arena's words, so it serves a new arena and an attached one. The
 * object counts are zero: after attach the store counts while it rebuilds, and
 * sets_use() and sets_sweep() come after that. Current is SET_RAW till then.
 * -ENOMEM. */
int sets_new(struct arena *arena, struct sets **ret_sets) MUST_CHECK;
void sets_free(struct sets *sets);

/*
 * Make @params what new objects use: an equal set is taken up again, else a
 * free number. -EBUSY: all 63 numbers still have objects; -EINVAL: no such
 * codec or level. Takes LOCK_SETS, and sweeps when numbers have run out.
 */
int sets_use(struct sets *sets, const struct codec_params *params) MUST_CHECK;
/* The set for new objects now; lock-free. */
unsigned sets_current(const struct sets *sets);
/* Parameters of @set; -ENOENT when there is none (a corrupt tag). Lock-free;
 * valid while an object of the set exists, the caller is storing one, or has
 * held a stream since it saw one. */
int sets_params(const struct sets *sets, unsigned set,
		struct codec_params *ret_params) MUST_CHECK;

/*
 * An object of @set was made (inside the bracket of its store) or went (after
 * nobody can find it any more): at no time fewer are counted than there are.
 * @row: the caller's tally row. Rows are added to atomically: a lost count
 * would let a set go under its objects.
 */
void sets_count(struct sets *sets, unsigned row, unsigned set, int64_t n);
/* Exact when nobody counts. */
uint64_t sets_objects(const struct sets *sets, unsigned set);
/* Sets that are LIVE, raw included; sets that went since the start. */
unsigned sets_live(struct sets *sets);
uint64_t sets_gone(struct sets *sets);
bool sets_is_live(struct sets *sets, unsigned set);

/* Let go of sets without objects that are not current; gives how many went. A
 * store under way holds its set by sets_enter()/sets_leave() on its row. Waits
 * for each stream once: not with a stream held. */
unsigned sets_sweep(struct sets *sets);

/*
 * Bracket of one store: the set returned stays until sets_leave(), even
 * without objects; the object is counted inside the bracket. One ordered store
 * and load, no shared line written. @row belongs to the caller's stream
 * (stream->row) or is TALLY_SHARED_ROW, where brackets of many threads may
 * overlap. Brackets on one row do not nest.
 */
unsigned sets_enter(struct sets *sets, unsigned row);
/*
 * The same with a set of @params instead of the current one, for background
 * work; made if there is none. The set, or as sets_use(). Takes LOCK_SETS.
 */
int sets_enter_with(struct sets *sets, unsigned row,
		    const struct codec_params *params) MUST_CHECK;
void sets_leave(struct sets *sets, unsigned row);

/*
 * For streams_new() alone: @wait is called by a sweep between DYING and FREE
 * and returns when everyone who held a stream at the call has let it go.
 * NULL: nobody to wait for.
 */
void sets_on_sweep(struct sets *sets, void (*wait)(void *arg), void *arg);

/* Test hook: called in sets_enter() between reading the current set and
 * saying that it is held. NULL normally; costs one relaxed load. */
extern void (*_Atomic sets_enter_hook)(void);

#endif
