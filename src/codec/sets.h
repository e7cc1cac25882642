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
 */
#ifndef SRC_CODEC_SETS_H
#define SRC_CODEC_SETS_H

#include "arena/arena.h"
#include "codec/codec.h"

#define SETS_MAX 64
#define SET_RAW 0u

struct sets;

/* Reads the arena's words, so it serves a new arena and an attached one. The
 * object counts are zero: after attach the store counts while it rebuilds.
 * -ENOMEM. */
int sets_new(struct arena *arena, struct sets **ret_sets) MUST_CHECK;
void sets_free(struct sets *sets);

/*
 * Make @params what new objects use: an equal set is taken up again, else a
 * free number. -EBUSY: all 63 numbers still have objects. Takes LOCK_SETS.
 */
int sets_use(struct sets *sets, const struct codec_params *params) MUST_CHECK;
/* The set for new objects now; lock-free. */
unsigned sets_current(const struct sets *sets);
/* Parameters of @set; -ENOENT when there is none (a corrupt tag). Lock-free;
 * valid while an object of the set exists or the caller is storing one. */
int sets_params(const struct sets *sets, unsigned set,
		struct codec_params *ret_params) MUST_CHECK;

/* An object of @set was made / went. @row: the caller's tally row. */
void sets_count(struct sets *sets, unsigned row, unsigned set, int64_t n);
uint64_t sets_objects(const struct sets *sets, unsigned set);
/* Let go of sets without objects that are not current; gives how many went. A
 * store under way holds its set by sets_enter()/sets_leave() on its row. */
unsigned sets_sweep(struct sets *sets);
/*
 * Bracket of one store: the set returned stays until sets_leave(), even
 * without objects. A plain store and a fence, no shared line written.
 */
unsigned sets_enter(struct sets *sets, unsigned row);
void sets_leave(struct sets *sets, unsigned row);

#endif
