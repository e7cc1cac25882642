/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams: the compression contexts and buffers of one worker slot, handed
 * out locked.
 *
 * The lock lives in the slot array, which is there for every possible slot
 * from start to end. A stream is freed only under its slot's lock and leaves
 * the slot empty; whoever locks an empty slot lets go and picks again. A
 * stream's contexts for another codec are made by streams_prepare() in the
 * background of a codec change, never lazily on the store path.
 *
 * The life of a slot, and what takes it there (policy: pool, idle, eager):
 *
 *	EMPTY -> UP	stream_up(): built whole, then published
 *	UP    -> EMPTY	stream_down() when eager, under the slot's lock
 *	UP    -> KEPT	stream_down() when pool or idle
 *	KEPT  -> UP	stream_up(): taken up again as it is
 *	KEPT  -> EMPTY	streams_reap(), streams_set_retire(), streams_free()
 *
 * Each stream's memory is in a heap arena of its own, which goes back whole
 * with it: callers need none around these calls (heap_arena_leave() is as
 * good as done after stream_up() and streams_prepare()).
 */
#ifndef SRC_CODEC_STREAM_H
#define SRC_CODEC_STREAM_H

#include "base/lock.h"
#include "codec/sets.h"
#include <stdatomic.h>
#include <stdbool.h>

#define STREAMS_MAX 64
/* Pages compressed before the first lock is taken: 128 KiB, one request. */
#define STREAM_BATCH 32
/* Room for one page's compressed form plus what a codec may write over. */
#define STREAM_SLOT_BYTES 4608

enum stream_retire { RETIRE_POOL, RETIRE_EAGER, RETIRE_IDLE };

/*
 * Contexts for compressing: two of all streams alike, so that a change of
 * level has the old and the new side by side, and one of this stream alone,
 * for background work with a better codec.
 */
#define STREAM_SHARED 2
#define STREAM_SECOND 2
#define STREAM_CTXS 3

struct stream_ctx {
	struct codec_params params;
	void *mem; /* NULL: there is none */
	size_t bytes;
};

/* Numbers of a slot; they stay when its stream goes, and are read any time. */
struct stream_counts {
	_Atomic uint64_t held_bytes;
	_Atomic uint64_t found_empty;
	_Atomic uint64_t waited;
	_Atomic uint64_t built;
	_Atomic uint64_t unprepared;
};

/* What the holder of a stream may use until stream_put(). */
struct stream {
	unsigned slot;
	unsigned row; /* tally row of whoever holds it: its slot */
	char *out
		[STREAM_BATCH]; /* STREAM_SLOT_BYTES each, 64-aligned, in a row */
	char *page;             /* PAGE_BYTES: read-modify-write */
	char *scratch;          /* STREAM_SLOT_BYTES: compressed bytes read */
	struct sets *sets;
	struct stream_ctx ctx[STREAM_CTXS];
	struct stream_ctx spare; /* made by a streams_prepare() under way */
	void *dec[CODEC_NR];     /* for decoding; NULL: needs none */
	struct stream_counts *counts; /* of its slot */
	unsigned arena;
};

struct streams;

int streams_new(struct sets *sets, struct streams **ret) MUST_CHECK;
void streams_free(struct streams *streams); /* no stream may be in use */

/* Build slot @slot's stream; idempotent: one kept from before is taken up
 * again. Publishes only what is complete. -ENOMEM and nothing changed. */
int stream_up(struct streams *streams, unsigned slot) MUST_CHECK;
/* Retire by policy; waits until nobody uses the stream. Cannot fail. */
void stream_down(struct streams *streams, unsigned slot);
/* Kept streams that the new policy would not keep go at once. */
void streams_set_retire(struct streams *streams, enum stream_retire how,
			unsigned idle_seconds);
enum stream_retire streams_retire(const struct streams *streams,
				  unsigned *ret_idle_seconds);
/* Frees kept streams whose idle time has passed (RETIRE_IDLE); any thread. */
void streams_reap(struct streams *streams, uint64_t now_ns);

/*
 * A stream, locked. Prefers slot @hint, else any that is up; looks again when
 * it finds one empty. NULL only when no slot is up. Blocks while all are used.
 * Free @hint: one try of one lock. Background tasks come the same way.
 */
struct stream *stream_get(struct streams *streams, unsigned hint);
/* As stream_get() but never waits: NULL when none is free at once. */
struct stream *stream_try(struct streams *streams, unsigned hint);
void stream_put(struct streams *streams, struct stream *stream);
/* Of the stream held: what only batches of pages use goes back to the kernel,
 * until the next one touches it. Not for memory that must stay. */
void stream_rest(struct stream *stream);

/*
 * Give every stream that is up or kept a context for @params; -ENOMEM and
 * nothing changed. Called before sets_use(). Keeps the context of the current
 * set, drops the one before that. A stream that comes up meanwhile has both.
 * One at a time, others wait; not with a stream held.
 */
int streams_prepare(struct streams *streams,
		    const struct codec_params *params) MUST_CHECK;

/*
 * Background work only: give the stream held a second context besides, in
 * place of its last one. -ENOMEM: skip the work; the stream is as good as
 * before for its own. It stays until replaced, dropped or retired for good.
 */
int stream_prepare_second(struct stream *stream,
			  const struct codec_params *params) MUST_CHECK;
void stream_drop_second(struct stream *stream);

/* Compress one page (@n bytes) with @set from sets_enter(): bytes in @dst
 * (STREAM_SLOT_BYTES), or 0 when it would not save at least 1/16 (store it
 * raw). A stream without the set's level uses the same codec's other one; one
 * without the codec gives 0 and counts it. */
size_t stream_compress(struct stream *stream, unsigned set, const void *src,
		       size_t n, void *dst);
/* Decode an object of @set into exactly @n_dst bytes; 0 or -EIO. Works for any
 * set, prepared or not: decoding contexts of every codec are always there. */
int stream_decompress(struct stream *stream, unsigned set, const void *src,
		      size_t n, void *dst, size_t n_dst);

/* Numbers for one slot. */
struct stream_stats {
	uint64_t held_bytes;  /* contexts and buffers, also of a kept stream */
	uint64_t arena_bytes; /* the same as the heap counts them */
	uint64_t found_empty; /* times it was picked, locked and found empty */
	uint64_t waited;      /* times a getter had to block on it */
	uint64_t built;       /* times it was made, not taken up again */
	uint64_t unprepared;  /* pages left raw: codec was not prepared */
	bool up;
};
/* No lock that is held for long: single numbers are right, not the set of them. */
struct stream_stats stream_stats(struct streams *streams, unsigned slot);
/* Of what all slots hold, what is not in RAM, for nobody has written there. */
uint64_t streams_absent_bytes(struct streams *streams);
/* RAM of one stream for @params, for the budget, before it is made. */
size_t stream_bytes(const struct codec_params *params);
/* The same of one that comes up now, with the contexts that all have; and what
 * streams_prepare() takes for @params before it gives anything back. */
size_t streams_next_bytes(struct streams *streams);
size_t streams_prepare_bytes(struct streams *streams,
			     const struct codec_params *params);

/*
 * Test hook: called between pick and lock of stream_get() with the slot
 * picked. NULL normally; costs one relaxed load.
 */
extern void (*_Atomic stream_pick_hook)(unsigned slot);

#endif
