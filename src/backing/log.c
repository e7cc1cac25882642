/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing: extents are packed into a chunk, chunks follow one another in the
 * open segment, and every byte of a chunk comes from here.
 *
 *	segment  |<------------------ 1 MiB ------------------>|
 *	chunks   |     256 KiB     |  flushed early | ...      |
 *	extents  |h data 0|h data 0|...|000         |
 *	                                ^ up to the next block
 *
 * Encrypted, a chunk is sealed by the thread that writes it, so that who sweeps
 * goes on meanwhile.
 *
 * A chunk pins its segment until the last of its extents has been told; what
 * it says about an extent after that is nothing, for the owner may have freed
 * it in done().
 */
#include "backing/inside.h"
#include "base/check.h"
#include "base/resident.h"
#include <errno.h>
#include <sys/mman.h>

/* A write that made no headway is started again so often. */
#define TRIES_MAX 8u

/* --- chunks --- */

static bool chunk_up(struct backing *b, struct chunk *chunk,
		     enum budget_use use)
{
	struct budget *budget = arena_budget(b->arena);
	char *map;

	if (budget_take(budget, CHUNK_MAP_BYTES, use) < 0)
		return false;
	map = mmap(NULL, CHUNK_MAP_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		budget_give(budget, CHUNK_MAP_BYTES);
		return false;
	}
	madvise(map, CHUNK_MAP_BYTES, MADV_NOHUGEPAGE);
	madvise(map, CHUNK_MAP_BYTES, MADV_DONTDUMP);
	/* All that is charged is there when the process is measured. */
	if (resident_touch(map, CHUNK_MAP_BYTES) < 0) {
		munmap(map, CHUNK_MAP_BYTES);
		budget_give(budget, CHUNK_MAP_BYTES);
		return false;
	}
	*chunk = (struct chunk){
		.backing = b,
		.bytes = map,
		.cookies = (void *)(map + BACKING_CHUNK_BYTES),
	};
	return true;
}

/* The first one also when more is used than the limit allows: a file is taken
 * just then. */
int chunks_up(struct backing *b)
{
	for (unsigned i = 0; i < CHUNKS; i++)
		if (!b->chunks[i].bytes &&
		    !chunk_up(b, &b->chunks[i],
			      i == 0 ? BUDGET_FORCED : BUDGET_NORMAL))
			break;
	return b->chunks[0].bytes ? 0 : -ENOMEM;
}

void chunks_down(struct backing *b)
{
	for (unsigned i = 0; i < CHUNKS; i++) {
		if (!b->chunks[i].bytes)
			continue;
		munmap(b->chunks[i].bytes, CHUNK_MAP_BYTES);
		budget_give(arena_budget(b->arena), CHUNK_MAP_BYTES);
		b->chunks[i] = (struct chunk){0};
	}
}

/* Where its first extent is. */
static uint64_t unit_of(const struct chunk *chunk)
{
	return (uint64_t)chunk->segment * SEGMENT_UNITS +
	       chunk->start / BACKING_UNIT;
}

static struct chunk *free_chunk(struct backing *b)
{
	for (unsigned i = 0; i < CHUNKS; i++)
		if (b->chunks[i].bytes && !b->chunks[i].in_flight)
			return &b->chunks[i];
	return NULL;
}

/* --- the open segment --- */

void log_leave_segment(struct backing *b)
{
	uint32_t segment = b->open_segment;

	if (segment == SEGMENT_NONE)
		return;
	b->open_segment = SEGMENT_NONE;
	b->leave_open = false;
	segment_sub(b, segment, COUNT_PIN);
}

static uint32_t room_in_segment(const struct backing *b)
{
	if (b->open_segment == SEGMENT_NONE || b->leave_open)
		return 0;
	return BACKING_SEGMENT_BYTES - b->open_bytes;
}

/* An open segment with room for @n_bytes. */
static int need_segment(struct backing *b, uint32_t n_bytes)
{
	uint32_t segment;
	int r;

	if (n_bytes <= room_in_segment(b))
		return 0;
	log_leave_segment(b);
	r = segment_open(b, &segment);
	if (r < 0)
		return r;
	b->open_segment = segment;
	b->open_bytes = segment_first(segment) * BACKING_UNIT;
	/* Once a segment: memory may have come since. */
	return chunks_up(b);
}

static int begin_chunk(struct backing *b, uint32_t n_bytes)
{
	struct chunk *chunk = free_chunk(b);
	uint32_t room;
	int r;

	if (!chunk)
		return -EAGAIN;
	r = need_segment(b, n_bytes);
	if (r < 0)
		return r;
	room = room_in_segment(b);
	chunk->segment = b->open_segment;
	chunk->start = b->open_bytes;
	chunk->most_bytes =
		room < BACKING_CHUNK_BYTES ? room : BACKING_CHUNK_BYTES;
	chunk->fill_bytes = 0;
	chunk->extents = 0;
	chunk->sealed = false;
	segment_add(b, chunk->segment, COUNT_PIN);
	b->filling = chunk;
	return 0;
}

/* --- putting --- */

static int may_put(const struct backing *b)
{
	if (!backing_is_open(b))
		return -ENODEV;
	if (atomic_load_explicit(&b->failures, memory_order_relaxed) >=
	    FAILURES_MAX)
		return -EIO;
	return 0;
}

static int need_room(struct backing *b, uint32_t n_bytes)
{
	struct chunk *chunk = b->filling;

	if (chunk && chunk->fill_bytes + n_bytes <= chunk->most_bytes)
		return 0;
	backing_flush(b);
	return begin_chunk(b, n_bytes);
}

/* Header, bytes, zeroes up to the unit: nothing of what the buffer held before
 * is left in between. */
static void pack(struct backing *b, struct chunk *chunk, uint64_t unit,
		 struct extent_header *header, const void *data)
{
	char *to = chunk->bytes + chunk->fill_bytes;
	char *bytes = to + sizeof(*header);
	size_t whole = (extent_units(header->n_bytes) - 1) * BACKING_UNIT;
	uint64_t sequence = atomic_load_explicit(
		&segment_at(b, chunk->segment)->sequence, memory_order_relaxed);

	header->sequence = sequence;
	memcpy(bytes, data, header->n_bytes);
	memset(bytes + header->n_bytes, 0, whole - header->n_bytes);
	memcpy(to, header, sizeof(*header));
	if (b->crypt)
		return;
	header->check = extent_check(sequence, unit, to, header->n_bytes);
	memcpy(to, &header->check, sizeof(header->check));
}

int backing_put(struct backing *b, const struct extent_owner *owner,
		uint16_t tag, unsigned kind, const void *data, size_t n_bytes,
		uint64_t cookie, struct extent *ret)
{
	unsigned units = extent_units(n_bytes);
	struct extent_header header = {
		.file = owner->file,
		.page = owner->page,
		.generation = owner->generation,
		.tag = tag,
		.n_bytes = (uint16_t)n_bytes,
		.kind = (uint16_t)kind,
	};
	struct chunk *chunk;
	uint64_t unit;
	int r;

	invariant(n_bytes > 0 && n_bytes <= BACKING_OBJECT_MAX &&
		  kind < BACKING_KINDS);
	r = may_put(b);
	if (!r)
		r = need_room(b, units * BACKING_UNIT);
	if (r < 0)
		return r;
	chunk = b->filling;
	unit = (uint64_t)chunk->segment * SEGMENT_UNITS +
	       (chunk->start + chunk->fill_bytes) / BACKING_UNIT;
	pack(b, chunk, unit, &header, data);
	segment_hold(b, chunk->segment, kind);
	segment_add(b, chunk->segment, units + COUNT_EXTENT);
	chunk->cookies[chunk->extents++] = cookie;
	chunk->fill_bytes += units * BACKING_UNIT;
	*ret = extent_name(unit, units);
	return 0;
}

/* --- writing --- */

/* In the thread that writes; the chunk is nobody else's then. */
static void seal(void *arg)
{
	struct chunk *chunk = arg;
	struct backing *b = chunk->backing;
	uint64_t unit = unit_of(chunk);
	char *at = chunk->bytes;

	for (unsigned i = 0; i < chunk->extents && !chunk->sealed; i++) {
		char *bytes = at + sizeof(struct extent_header);
		struct extent_header header;
		unsigned units;

		memcpy(&header, at, sizeof(header));
		units = extent_units(header.n_bytes);
		crypt_seal(b->crypt, header.sequence, unit, &header, bytes,
			   bytes);
		memcpy(at, &header, sizeof(header));
		unit += units;
		at += units * BACKING_UNIT;
	}
	chunk->sealed = true;
}

static void write_rest(struct backing *b, struct chunk *chunk)
{
	uint32_t from = chunk->written_bytes;
	struct io_write w = {
		.fd = backing_descriptor(b),
		.bytes = chunk->bytes + from,
		.n_bytes = chunk->n_bytes - from,
		.offset = (uint64_t)chunk->segment * BACKING_SEGMENT_BYTES +
			  chunk->start + from,
		.prepare = b->crypt ? seal : NULL,
		.arg = chunk,
	};

	io_start(b->io, (unsigned)(chunk - b->chunks), &w);
}

void backing_flush(struct backing *b)
{
	struct chunk *chunk = b->filling;

	if (!chunk)
		return;
	b->filling = NULL;
	chunk->n_bytes = (uint32_t)round_up_block(chunk->fill_bytes);
	memset(chunk->bytes + chunk->fill_bytes, 0,
	       chunk->n_bytes - chunk->fill_bytes);
	chunk->written_bytes = 0;
	chunk->tries = 0;
	chunk->in_flight = true;
	b->in_flight++;
	/* Where the next one goes; not into a segment given up meanwhile. */
	if (chunk->segment == b->open_segment)
		b->open_bytes = chunk->start + chunk->n_bytes;
	write_rest(b, chunk);
}

/* --- what became of it --- */

static bool is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

void log_note_error(struct backing *b, int err)
{
	backing_count(b, COUNT_WRITE_ERRORS, 1);
	b->good_chunks = 0;
	if (is_full(err))
		segment_no_room(b);
	else
		atomic_fetch_add_explicit(&b->failures, 1,
					  memory_order_relaxed);
}

static void note_failure(struct backing *b, const struct chunk *chunk, int err)
{
	if (chunk->segment == b->open_segment)
		b->leave_open = true;
	log_note_error(b, err);
}

static void note_success(struct backing *b, const struct chunk *chunk)
{
	unsigned failures =
		atomic_load_explicit(&b->failures, memory_order_relaxed);

	backing_count(b, COUNT_WRITES, 1);
	backing_count(b, COUNT_WRITE_BYTES, chunk->n_bytes);
	segment_at(b, chunk->segment)->barren = false;
	if (++b->good_chunks < FORGIVE_CHUNKS)
		return;
	b->good_chunks = 0;
	if (failures > 0 && failures < FAILURES_MAX)
		atomic_store_explicit(&b->failures, failures - 1,
				      memory_order_relaxed);
}

/* Headers are readable in an encrypted chunk too. */
static void tell_owners(struct backing *b, const struct chunk *chunk, int err)
{
	uint64_t unit = unit_of(chunk);
	const char *at = chunk->bytes;

	for (unsigned i = 0; i < chunk->extents; i++) {
		struct extent_header header;
		struct extent_owner owner;
		unsigned units;

		memcpy(&header, at, sizeof(header));
		units = extent_units(header.n_bytes);
		owner = (struct extent_owner){header.file, header.page,
					      header.generation};
		if (err)
			segment_sub(b, chunk->segment, units + COUNT_EXTENT);
		b->ops->done(b->arg, extent_name(unit, units), &owner,
			     chunk->cookies[i], err);
		unit += units;
		at += units * BACKING_UNIT;
	}
}

/* The chunk may be filled again only when done() has been called for all. */
static void finish(struct backing *b, struct chunk *chunk, int err)
{
	if (err)
		note_failure(b, chunk, err);
	else
		note_success(b, chunk);
	tell_owners(b, chunk, err);
	chunk->in_flight = false;
	b->in_flight--;
	segment_sub(b, chunk->segment, COUNT_PIN);
}

/* Part of it was written, or nothing for a reason that passes: true when the
 * rest is on its way. */
static bool goes_on(struct backing *b, struct chunk *chunk, int result)
{
	uint32_t rest = chunk->n_bytes - chunk->written_bytes;
	bool passes =
		result == -EAGAIN || result == -EINTR || result == -ECANCELED;

	if ((result < 0 && !passes) || result >= (int)rest ||
	    ++chunk->tries > TRIES_MAX)
		return false;
	if (result > 0)
		chunk->written_bytes +=
			(uint32_t)round_down_block((uint32_t)result);
	write_rest(b, chunk);
	return true;
}

unsigned backing_reap(struct backing *b, bool wait)
{
	unsigned slot;
	int result;

	while (b->in_flight && io_reap(b->io, wait, &slot, &result)) {
		struct chunk *chunk = &b->chunks[slot];
		uint32_t rest = chunk->n_bytes - chunk->written_bytes;

		if (goes_on(b, chunk, result))
			continue;
		if (result >= 0)
			result = (uint32_t)result == rest ? 0 : -EIO;
		finish(b, chunk, result);
		wait = false;
	}
	/* It had an error and nothing is to come: it need not stay open. */
	if (b->leave_open && !b->filling)
		log_leave_segment(b);
	return b->in_flight;
}

void backing_resume(struct backing *b)
{
	atomic_store_explicit(&b->failures, 0, memory_order_relaxed);
	for (uint32_t ix = 0; ix < segments_end(b); ix++)
		segment_is_bad(b, ix, false);
	backing_try_full(b);
}

void backing_try_full(struct backing *b)
{
	lock_take(&b->lock);
	b->disk_full = false;
	atomic_store_explicit(&b->full, false, memory_order_relaxed);
	lock_drop(&b->lock);
}
