/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Large requests in several threads, when workers have nothing else to do.
 *
 * A write is compressed and placed in the pool by parts, which nobody can see
 * yet. They are published one after the other and in order, by whoever finds
 * the next one ready; nobody waits for his turn. So a write that finds no
 * room is short in the same way as one by a single thread, and the file never
 * grows beyond the last page that was written.
 */
#include "store/state.h"
#include <string.h>

/* Pages; smaller ones are done before a helper is awake. */
#define WRITE_LEAST 64u
#define WRITE_MOST 256u
/* Of at least two groups, whose locks are two. */
#define READ_LEAST (2 * GROUP_PAGES)
/* Small, so that all hands end at about the same time. */
#define PART_PAGES 8u
#define PARTS_MOST (WRITE_MOST / PART_PAGES)
#define GROUP_PARTS (GROUP_PAGES / PART_PAGES)

_Static_assert(PART_PAGES <= STREAM_BATCH, "a part is one batch");
_Static_assert(GROUP_PAGES % PART_PAGES == 0, "a part is in one group");

struct shared_write {
	struct store *store;
	struct file file;
	uint64_t first;
	const char *src;
	unsigned n, parts;
	enum budget_depth dips; /* budget_dips() of the owner */
	/* Someone publishes; what it says of `next` and `done` is its own. */
	_Atomic bool busy;
	_Atomic unsigned next; /* part to be published; `parts`: no more */
	unsigned done;         /* pages published */
	unsigned tried;        /* parts that were published or cut short */
	/* Pages of each part that have found room, and one; 0: not ready. */
	_Atomic uint8_t placed[PARTS_MOST];
	struct fresh fresh[WRITE_MOST];
};

static unsigned part_pages(const struct shared_write *write, unsigned part)
{
	unsigned left = write->n - part * PART_PAGES;

	return left < PART_PAGES ? left : PART_PAGES;
}

static bool next_is_ready(const struct shared_write *write)
{
	unsigned next = atomic_load(&write->next);

	return next < write->parts && atomic_load(&write->placed[next]) != 0;
}

/* The first part that is not published whole is the last one. */
static void publish_next(struct shared_write *write, struct stream *stream)
{
	unsigned part = atomic_load(&write->next), done = 0;
	unsigned placed = atomic_load(&write->placed[part]) - 1u;
	unsigned first = part * PART_PAGES;
	int err;

	if (placed)
		done = run_commit(write->store, stream, write->file,
				  write->first + first, &write->fresh[first],
				  placed, &err);
	write->done += done;
	write->tried = part + 1;
	atomic_store(&write->next,
		     done < part_pages(write, part) ? write->parts : part + 1);
}

/*
 * Who finds someone at it leaves: that one looks again after it has said that
 * it is no longer, and so sees whatever was ready by then.
 */
static void publish_ready(struct shared_write *write, struct stream *stream)
{
	while (next_is_ready(write)) {
		if (atomic_exchange(&write->busy, true))
			return;
		while (next_is_ready(write))
			publish_next(write, stream);
		atomic_store(&write->busy, false);
	}
}

static void write_part(void *arg, void *with, unsigned part)
{
	struct shared_write *write = arg;
	unsigned first = part * PART_PAGES;
	enum budget_depth before = budget_dip(write->dips);
	unsigned placed = run_place(
		write->store, with, write->src + ((size_t)first << PAGE_SHIFT),
		&write->fresh[first], part_pages(write, part));

	atomic_store(&write->placed[part], (uint8_t)(placed + 1));
	publish_ready(write, with);
	budget_dip(before);
}

/* After a part that found no room: what others have placed behind it. */
static void take_back(struct shared_write *write, struct stream *stream)
{
	for (unsigned part = write->tried; part < write->parts; part++)
		fresh_unplace(write->store, stream,
			      &write->fresh[part * PART_PAGES],
			      atomic_load(&write->placed[part]) - 1u);
}

unsigned parts_write(struct store *store, struct stream *stream,
		     struct file file, uint64_t first, const char *src,
		     size_t n)
{
	struct shared_write write;

	if (n < WRITE_LEAST || !store->share)
		return 0;
	/* Not all of it: `fresh` is large and written before it is read. */
	memset(&write, 0, offsetof(struct shared_write, fresh));
	write.store = store;
	write.file = file;
	write.first = first;
	write.src = src;
	write.dips = budget_dips();
	write.n = n < WRITE_MOST ? (unsigned)n : WRITE_MOST;
	write.parts = (write.n + PART_PAGES - 1) / PART_PAGES;
	if (!share_run(store->share, stream->slot, write.parts, write_part,
		       &write, stream))
		return 0;
	store_count(store, stream->row, COUNT_SHARED, 1);
	take_back(&write, stream);
	return write.done;
}

struct shared_read {
	struct store *store;
	struct file file;
	uint64_t offset, end;
	uint64_t first; /* group of part 0 */
	unsigned groups;
	char *dst;
	_Atomic int err;
};

/* Neighbouring parts are in different groups: their takers work at the same
 * time and would wait for one another's group lock. */
static uint64_t first_of_part(const struct shared_read *read, unsigned part)
{
	uint64_t group = read->first + part % read->groups;

	return (group << GROUP_SHIFT) +
	       (uint64_t)(part / read->groups) * PART_PAGES;
}

static void read_part(void *arg, void *with, unsigned part)
{
	struct shared_read *read = arg;
	uint64_t from = first_of_part(read, part) << PAGE_SHIFT;
	uint64_t to = from + ((uint64_t)PART_PAGES << PAGE_SHIFT);
	int err;

	/* Of the first and last group not all was asked for. */
	if (from >= read->end || to <= read->offset)
		return;
	if (from < read->offset)
		from = read->offset;
	if (to > read->end)
		to = read->end;
	err = read_range(read->store, with, read->file, from,
			 read->dst + (from - read->offset), to - from, NULL);
	if (err)
		atomic_store_explicit(&read->err, err, memory_order_relaxed);
}

bool parts_read(struct store *store, struct stream *stream, struct file file,
		uint64_t offset, char *dst, size_t n, int *ret_err)
{
	struct shared_read read = {.store = store,
				   .file = file,
				   .offset = offset,
				   .end = offset + n,
				   .first = page_of(offset) >> GROUP_SHIFT,
				   .dst = dst};
	uint64_t groups =
		(page_of(read.end - 1) >> GROUP_SHIFT) - read.first + 1;

	if (n < (size_t)READ_LEAST << PAGE_SHIFT || !store->share ||
	    groups > SHARE_PARTS_MAX / GROUP_PARTS)
		return false;
	read.groups = (unsigned)groups;
	if (!share_run(store->share, stream->slot, read.groups * GROUP_PARTS,
		       read_part, &read, stream))
		return false;
	store_count(store, stream->row, COUNT_SHARED, 1);
	*ret_err = atomic_load_explicit(&read.err, memory_order_relaxed);
	return true;
}
