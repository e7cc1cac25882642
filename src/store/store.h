/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store: pages of files, and the only meeting point of codec, pool and
 * crew. A file here is a `body`: the root of its entries and its size.
 *
 * Layer 3. Knows nothing of names, FUSE or users. What is truth (bodies,
 * twigs, leaves, fill words, objects) is in the arena; locks and sums are
 * private.
 *
 * Locks: a file's rwlock (striped by file index) is held for reading over
 * every read and write and for writing by whatever frees map nodes (cut,
 * punch, discard); the lock of a page's group of 64 guards its entry word and
 * is never held over a codec. No lock is shared by all workers.
 *
 * Errors everywhere: -ENOSPC (the size limit or mem_limit), -EIO (an object
 * that does not decode; counted; the entry stays), -EFBIG (beyond
 * FILE_MAX_BYTES).
 */
#ifndef SRC_STORE_STORE_H
#define SRC_STORE_STORE_H

#include "arena/arena.h"
#include "backing/backing.h"
#include "base/compiler.h"
#include "base/faults.h"
#include "codec/stream.h"
#include "crew/share.h"
#include "pool/pool.h"
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* Lives in an arena record of the file's owner; zeroes are an empty file. */
struct body {
	_Atomic uint64_t root;  /* map of entries: see store/map.h */
	_Atomic uint64_t size;  /* bytes; what is beyond never shows */
	_Atomic uint64_t pages; /* pages held (not holes): st_blocks / 8 */
};

/* A body and the number that its locks are chosen by. */
struct file {
	struct body *body;
	uint32_t ix; /* inode or xattr record index; any stable number */
};

struct store;

/* @limit_bytes: the size= limit, in bytes of pages held. -ENOMEM, -ENOSPC. */
int store_new(struct arena *arena, struct pool *pool, struct sets *sets,
	      uint64_t limit_bytes, struct store **ret_store) MUST_CHECK;
void store_free(struct store *store); /* private state only */
/* Large reads and writes are shared by way of @share from now on; before the
 * first request. It outlives the store. */
void store_share(struct store *store, struct share *share);

/*
 * Up to @n bytes at @offset: how many are below the file's size in @ret_n,
 * the rest of @buf untouched. Holes read as zeroes.
 */
int store_read(struct store *store, struct stream *stream, struct file file,
	       uint64_t offset, void *buf, size_t n, size_t *ret_n) MUST_CHECK;

/*
 * The same for somebody who does not wait for the disk: what it will need is
 * listed, to be read by a backing_reader, and then handed in. What is missing
 * by then is waited for after all.
 */
struct store_ahead {
	const struct backing_blocks *blocks;
	unsigned n;
};
/* How many of @blocks, at most @most: no more than one a page. 0: nothing that
 * would be read is on disk. Nothing is touched. */
unsigned store_plan_read(struct store *store, struct file file, uint64_t offset,
			 size_t n, struct backing_blocks *blocks,
			 unsigned most) MUST_CHECK;
int store_read_ahead(struct store *store, struct stream *stream,
		     struct file file, uint64_t offset, void *buf, size_t n,
		     const struct store_ahead *ahead, size_t *ret_n) MUST_CHECK;

/*
 * Write @n bytes; the file grows if they end beyond its size. On an error
 * after some whole pages: 0 and how far it came in @ret_n (a short write);
 * an error only when nothing was written. Whole pages are never read first.
 * Two writes that overlap leave each page as one of them wrote it.
 */
int store_write(struct store *store, struct stream *stream, struct file file,
		uint64_t offset, const void *buf, size_t n,
		size_t *ret_n) MUST_CHECK;

/*
 * Set the size; what is cut off, and what is held beyond the size, is freed
 * before the return. Cutting never fails for want of room; growing may, when
 * an earlier cut had to leave bytes behind the end that must go first.
 */
int store_truncate(struct store *store, struct stream *stream, struct file file,
		   uint64_t size) MUST_CHECK;
/* [offset, offset + n) becomes a hole; edges are zeroed; size stays. */
int store_punch(struct store *store, struct stream *stream, struct file file,
		uint64_t offset, uint64_t n) MUST_CHECK;
/*
 * Punches of more than 64 pages only unhook them from now on, before the first
 * request: what they free is owed until somebody pays. Pages of it are counted
 * as held so long. -ENOMEM.
 */
int store_pay_later(struct store *store) MUST_CHECK;
bool store_owes(const struct store *store);
/* Free what one punch left; false: nothing to do, or another is at it. */
bool store_pay(struct store *store, unsigned row);
/* Until nothing is owed. Holds no lock. */
void store_settle(struct store *store, unsigned row);
/* [offset, offset + n) reads as zeroes and is held; @keep_size or grows. */
int store_zero(struct store *store, struct stream *stream, struct file file,
	       uint64_t offset, uint64_t n, bool keep_size) MUST_CHECK;
/* Holes in the range become held zero pages; all or nothing on -ENOSPC. */
int store_allocate(struct store *store, struct stream *stream, struct file file,
		   uint64_t offset, uint64_t n, bool keep_size) MUST_CHECK;
/* SEEK_DATA or SEEK_HOLE from @offset; -ENXIO as lseek(2). */
int store_seek(struct store *store, struct file file, uint64_t offset,
	       int whence, uint64_t *ret_offset) MUST_CHECK;
/* copy_file_range: as store_read then store_write page by page; holes stay
 * holes. Ranges of one file must not overlap. */
int store_copy(struct store *store, struct stream *stream, struct file from,
	       uint64_t from_offset, struct file to, uint64_t to_offset,
	       uint64_t n, uint64_t *ret_n) MUST_CHECK;
/* Free everything of a body that nobody uses any more; it is zeroes then. */
void store_discard(struct store *store, unsigned row, struct file file);

/* --- small contents that are replaced whole: xattrs, symlink targets --- */

/* Write @n bytes into the fresh, unpublished @body (size 0). */
int store_fill_body(struct store *store, struct stream *stream,
		    struct file file, const void *buf, size_t n) MUST_CHECK;

/* --- numbers --- */

#define STORE_AGES 16

struct store_file_info {
	uint64_t logical_bytes;  /* pages held * 4096 */
	uint64_t resident_bytes; /* objects with headers, map nodes */
	uint64_t spilled_bytes;  /* of the backing file, and of it alone */
	uint64_t spilled_pages;
	uint64_t pages[4]; /* by enum codec_id */
	uint64_t fill_pages;
	uint64_t ages[STORE_AGES]; /* pages held, by their age */
};
/* One piece of the file after the other: a large file that is written to
 * meanwhile may show a page of before and one of after. */
void store_file_info(struct store *store, struct file file,
		     struct store_file_info *ret_info);

/* Where a page is: what the picture of a file is made of. */
enum store_tier {
	TIER_HOLE,
	TIER_FILL,
	TIER_COMPRESSED,
	TIER_RAW,
	TIER_SPILLED,
	TIER_BAD,
	TIER_NR,
};

/* Neighbouring pages: where most of them are, holes left aside, and how old
 * those that are held are on average. */
struct store_cell {
	uint8_t tier, age;
};

/* Paint all pages of @file in at most @most cells of @ret_cell_pages (a power
 * of two) each: how many cells. @ret_pages: pages below the file's size. */
unsigned store_file_map(struct store *store, struct file file,
			struct store_cell *cells, unsigned most,
			uint64_t *ret_pages, uint64_t *ret_cell_pages);

struct store_stats {
	uint64_t pages_stored; /* held now: orig_data_size / 4096 */
	uint64_t same_pages;   /* of them fill pages */
	uint64_t huge_pages;   /* of them raw */
	uint64_t compr_data_bytes;
	uint64_t spilled_pages; /* held now, on disk */
	uint64_t spilled_bytes; /* of the backing file that they take */
	uint64_t lost_pages;    /* not held: read as EIO until overwritten */
	uint64_t limit_bytes;
	uint64_t pages_read, pages_written, pages_discarded; /* since start */
	uint64_t bytes_read, bytes_written;
	uint64_t huge_pages_since, pages_compacted;
	uint64_t size_limit_hit, mem_limit_hit; /* ENOSPC by its cause */
	uint64_t written_back_pages, written_back_bytes; /* of objects */
	uint64_t brought_back_pages;
	uint64_t spill_reads; /* pages read from disk, whoever wanted them */
	uint64_t read_errors;
	uint64_t shared;  /* reads and writes that several threads did */
	uint64_t retries; /* entry changed under a read-modify-write */
};
void store_stats(struct store *store, struct store_stats *ret_stats);
uint64_t store_limit(const struct store *store);
void store_set_limit(struct store *store, uint64_t limit_bytes);
uint64_t store_pages_held(const struct store *store);

/*
 * --- life after attach: single-threaded ---
 *
 * On a fresh store over a fresh pool, with TABLE_TWIGS, _LEAVES and _FILLS as
 * arena_attach() leaves them: begin starts the pool's scan, end ends it and
 * those three tables'.
 */
void store_rebuild_begin(struct store *store);
/* Mark all that @file's body reaches; once for each body. -EUCLEAN: it went
 * on, but a word cannot be: its pages read as EIO until they are written. */
int store_rebuild_body(struct store *store, struct file file) MUST_CHECK;
void store_rebuild_end(struct store *store);

/*
 * --- check ---
 *
 * Walk all bodies, one after the other, and then hold what they came to against
 * what was counted while they changed. Nobody else may be in the store or the
 * pool from begin to end.
 */
struct store_audit {
	uint64_t bodies;
	uint64_t pages; /* held */
	uint64_t fills, fill_records;
	uint64_t objects, object_bytes, raw;
	uint64_t handles;                /* sum of pool_mix() */
	uint64_t spilled, spilled_bytes; /* as in the backing file */
	uint64_t lost;
	uint64_t twigs, leaves;
	uint64_t set_objects[SETS_MAX];
};

/* Add @file to @audit (zeroes at first) and what is wrong with it to @faults;
 * @name is what to call it there. */
void store_audit_body(struct store *store, struct file file, const char *name,
		      struct store_audit *audit, struct faults *faults);
/* All bodies have been added: do they make up what the store, the sets, the
 * tables and the pool say there is? */
void store_audit_end(struct store *store, const struct store_audit *audit,
		     struct faults *faults);

/* One body alone: 0 or -EUCLEAN. Others may be at work. */
int store_check_body(struct store *store, struct file file) MUST_CHECK;

/* --- compaction: the caller walks the bodies it owns --- */
/* False: nothing sparse enough; else call body for all and end. */
bool store_compact_begin(struct store *store);
void store_compact_body(struct store *store, struct stream *stream,
			struct file file);
void store_compact_end(struct store *store);
/* True when waste is above the threshold: cheap, for a task's check. */
bool store_wants_compaction(struct store *store);

#endif
