/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading: the blocks an extent lies in, and whether it is the right one.
 *
 * No lock keeps a segment from being emptied and used again meanwhile. The
 * reference carries the sequence of the life it is of, and what is read must
 * verify against just that: it is the extent, or the segment's sequence has
 * changed (-ESTALE), or it is bad (-EIO).
 */
#include "backing/inside.h"
#include "base/check.h"
#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* So often is a bad extent read before it is believed to be bad. */
#define READS_MAX 3u
/* What lies between two neighbours is read as well, up to this. */
#define GAP_BYTES PAGE_BYTES

/* Bytes of the right life at a wrong place are wrong as well. */
static uint64_t seed_of(uint64_t sequence, uint64_t unit)
{
	return sequence ^ unit * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t extent_check(uint64_t sequence, uint64_t unit, const char *bytes,
		      size_t n_bytes)
{
	size_t own = sizeof(((struct extent_header *)0)->check);

	return XXH3_64bits_withSeed(
		bytes + own, sizeof(struct extent_header) - own + n_bytes,
		seed_of(sequence, unit));
}

static bool is_intact(const struct backing *b, uint64_t sequence, uint64_t unit,
		      const struct extent_header *header, const char *bytes,
		      char *dst)
{
	if (b->crypt)
		return crypt_open(b->crypt, sequence, unit, header, dst,
				  bytes + sizeof(*header));
	return header->sequence == sequence &&
	       header->check ==
		       extent_check(sequence, unit, bytes, header->n_bytes);
}

bool extent_verify(const struct backing *b, uint64_t sequence, uint64_t unit,
		   unsigned units, const char *bytes, char *dst,
		   struct extent_view *ret_view)
{
	const char *data = bytes + sizeof(struct extent_header);
	struct extent_header header;

	memcpy(&header, bytes, sizeof(header));
	if (!header.n_bytes || header.n_bytes > BACKING_OBJECT_MAX ||
	    extent_units(header.n_bytes) != units)
		return false;
	if (!is_intact(b, sequence, unit, &header, bytes, dst))
		return false;
	*ret_view = (struct extent_view){
		.owner = {header.file, header.page, header.generation},
		.tag = header.tag,
		.n_bytes = header.n_bytes,
		.data = b->crypt ? dst : data,
	};
	return true;
}

static uint64_t sequence_of(const struct backing *b, uint32_t segment)
{
	return atomic_load_explicit(&segment_at(b, segment)->sequence,
				    memory_order_acquire);
}

struct extent_ref backing_ref(const struct backing *b, struct extent extent)
{
	struct place at = extent_place(extent);

	debug_invariant(extent_is_possible(extent) &&
			at.segment < segments_end(b));
	return (struct extent_ref){extent, sequence_of(b, at.segment)};
}

void backing_where(const struct backing *b, const struct extent_ref *ref,
		   int *ret_fd, uint64_t *ret_offset, size_t *ret_n,
		   size_t *ret_skip)
{
	uint64_t sector =
		atomic_load_explicit(&b->sector, memory_order_relaxed);
	uint64_t from = backing_extent_offset(ref->extent);
	uint64_t end = from + backing_extent_bytes(ref->extent);
	uint64_t first = from & ~(sector - 1);

	*ret_fd = backing_descriptor(b);
	*ret_offset = first;
	*ret_n = ((end + sector - 1) & ~(sector - 1)) - first;
	*ret_skip = from - first;
}

/* Why could it not be had? A life that is over is no error. */
static int why_not(struct backing *b, const struct extent_ref *ref,
		   enum counter counter)
{
	if (sequence_of(b, extent_place(ref->extent).segment) != ref->sequence)
		return -ESTALE;
	backing_count(b, counter, 1);
	segment_is_bad(b, extent_place(ref->extent).segment, true);
	return -EIO;
}

bool backing_is_in(const struct backing *b, const struct extent_ref *ref,
		   void *bytes, struct extent_view *ret_view)
{
	struct place at = extent_place(ref->extent);

	return extent_verify(b, ref->sequence, at.unit, at.units, bytes,
			     (char *)bytes + sizeof(struct extent_header),
			     ret_view);
}

int backing_verify(struct backing *b, const struct extent_ref *ref, void *bytes,
		   struct extent_view *ret_view)
{
	if (backing_is_in(b, ref, bytes, ret_view))
		return 0;
	return why_not(b, ref, COUNT_CHECKSUM_ERRORS);
}

struct backing_blocks backing_blocks_of(const struct backing *b,
					const struct extent_ref *ref)
{
	struct backing_blocks blocks = {.sequence = ref->sequence};
	size_t skip;
	int fd;

	backing_where(b, ref, &fd, &blocks.offset, &blocks.n_bytes, &skip);
	return blocks;
}

bool backing_blocks_grow(const struct backing *b, const struct extent_ref *ref,
			 struct backing_blocks *blocks)
{
	struct backing_blocks more = backing_blocks_of(b, ref);
	uint64_t end = blocks->offset + blocks->n_bytes;
	uint64_t more_end = more.offset + more.n_bytes;

	if (more.sequence != blocks->sequence || more.offset < blocks->offset ||
	    more.offset > end + GAP_BYTES)
		return false;
	if (more_end > end)
		blocks->n_bytes = more_end - blocks->offset;
	return true;
}

bool backing_find(struct backing *b, const struct extent_ref *ref,
		  const struct backing_blocks *blocks,
		  struct extent_view *ret_view)
{
	uint64_t from = backing_extent_offset(ref->extent);
	uint64_t end = from + backing_extent_bytes(ref->extent);

	return ref->sequence == blocks->sequence && from >= blocks->offset &&
	       end <= blocks->offset + blocks->n_bytes &&
	       backing_is_in(b, ref, blocks->bytes + (from - blocks->offset),
			     ret_view);
}

static int read_and_verify(struct backing *b, const struct extent_ref *ref,
			   void *buf, struct extent_view *ret_view)
{
	enum counter counter = COUNT_READ_ERRORS;
	uint64_t offset;
	size_t n, skip;
	int fd;

	backing_where(b, ref, &fd, &offset, &n, &skip);
	for (unsigned i = 0; i < READS_MAX; i++) {
		if (io_read_all(fd, buf, n, offset) < 0) {
			counter = COUNT_READ_ERRORS;
			continue;
		}
		if (!b->direct)
			file_uncache(fd, offset, n);
		if (backing_is_in(b, ref, (char *)buf + skip, ret_view)) {
			backing_count(b, COUNT_READS, 1);
			backing_count(b, COUNT_READ_BYTES, n);
			return 0;
		}
		counter = COUNT_CHECKSUM_ERRORS;
		if (sequence_of(b, extent_place(ref->extent).segment) !=
		    ref->sequence)
			break;
	}
	return why_not(b, ref, counter);
}

int backing_read_blocks(struct backing *b, uint64_t offset, void *buf, size_t n)
{
	int r = -EIO, fd;

	atomic_fetch_add_explicit(&b->readers, 1, memory_order_seq_cst);
	fd = backing_descriptor(b);
	if (fd >= 0)
		r = io_read_all(fd, buf, n, offset);
	if (!r) {
		if (!b->direct)
			file_uncache(fd, offset, n);
		backing_count(b, COUNT_READS, 1);
		backing_count(b, COUNT_READ_BYTES, n);
	}
	atomic_fetch_sub_explicit(&b->readers, 1, memory_order_release);
	return r;
}

int backing_read(struct backing *b, const struct extent_ref *ref, void *buf,
		 struct extent_view *ret_view)
{
	int r;

	/* backing_close() looks at the count after it took the file away. */
	atomic_fetch_add_explicit(&b->readers, 1, memory_order_seq_cst);
	r = atomic_load_explicit(&b->fd, memory_order_seq_cst) >= 0
		    ? read_and_verify(b, ref, buf, ret_view)
		    : why_not(b, ref, COUNT_READ_ERRORS);
	atomic_fetch_sub_explicit(&b->readers, 1, memory_order_release);
	return r;
}
