/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The backing file: extents, packed into segments that are written from front
 * to back and never in place.
 *
 * An extent is the bytes of one object with a header of its own: who owns it,
 * generation, length, tag, the segment's sequence number and a checksum over
 * all of it (or, encrypted, the tag of the cipher). Its name is 40 bits: where
 * it is in units of 32 bytes, and how long. Nothing of an extent is kept in
 * RAM but that name, in its owner; a segment has one record in the arena
 * (sequence number, kinds) and a count of live units in private memory, which
 * a scan rebuilds.
 *
 * Layer 2: knows base and arena. What an owner or a tag means is not known
 * here; a `kind` is a number below 64 that a segment holds on to as long as it
 * has an extent of that kind (the store's parameter sets).
 *
 * Threads: put, flush, reap, thin and segment_* belong to one thread at a time
 * (the sweep), opening and closing as well. ref, where, read, verify, free,
 * resume, try_full, set_most and stats may be called by any number of threads.
 */
#ifndef SRC_BACKING_BACKING_H
#define SRC_BACKING_BACKING_H

#include "arena/arena.h"
#include "base/compiler.h"
#include "base/page.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKING_UNIT 32u
#define BACKING_SEGMENT_BYTES (1u << 20)
/* What is written at once; several of them are in flight. */
#define BACKING_CHUNK_BYTES (256u << 10)
/* 2^32 units: the most that a name can reach. */
#define BACKING_BYTES_MAX (UINT64_C(1) << 37)
#define BACKING_OBJECT_MAX PAGE_BYTES
/* What backing_read() needs: an extent and the blocks it lies in. */
#define BACKING_READ_BYTES (3 * PAGE_BYTES)
#define BACKING_KINDS 64
#define EXTENT_BITS 40

struct backing;

struct extent {
	uint64_t value; /* 0: none */
};

/* Whose it is: kept in the extent's header, for cleaning and checking. */
struct extent_owner {
	uint32_t file;
	uint32_t page;
	uint16_t generation;
};

/* What an extent holds; @data points into the buffer of the caller. */
struct extent_view {
	struct extent_owner owner;
	uint16_t tag;
	uint16_t n_bytes;
	const void *data;
};

struct backing_ops {
	/* A segment got its first extent of @kind; it lost its last one. Any
	 * thread; no lock of the caller's may be needed. */
	void (*hold)(void *arg, unsigned kind);
	void (*drop)(void *arg, unsigned kind);
	/*
	 * What was put as @extent with @cookie is written (0) or is not
	 * (-errno: the extent is gone already). For 0 the owner either keeps
	 * the extent's name or backing_free()s it. In backing_reap() alone.
	 */
	void (*done)(void *arg, struct extent extent,
		     const struct extent_owner *owner, uint64_t cookie,
		     int err);
};

/* Without a file. -ENOMEM. */
int backing_new(struct arena *arena, const struct backing_ops *ops, void *arg,
		struct backing **ret) MUST_CHECK;
/* Private state only; closes the file. Nothing is in flight. */
void backing_free_all(struct backing *backing);

/* --- the file --- */

struct backing_config {
	const char *path;
	uint64_t most_bytes; /* spill_size=; 0: as much as there is */
	bool force;          /* also over what is not ours */
	bool encrypt;
};

/*
 * Open or create the file (0600, O_NOFOLLOW, O_DIRECT where it can be had) or
 * take the block device (O_EXCL). An old file of ours is emptied; its lock
 * (flock) keeps two mounts apart. On an error nothing has changed and @why says
 * it in a sentence that names the path: -EISDIR, -ELOOP, -EMLINK (has another
 * name), -EEXIST (not empty and not ours, @force would), -EBUSY (in use),
 * -EXDEV (on a foldfs mount), -EINVAL (neither file nor block device; smaller
 * than one segment), -EOPNOTSUPP (built without encryption), -ENOMEM (RAM for
 * not even one chunk), and what open(2) says.
 */
int backing_open(struct backing *backing, const struct backing_config *config,
		 char *why, size_t why_bytes) MUST_CHECK;
/* The file of the arena's former life; takes @fd over if it succeeds. Before
 * the scan, which gives back the bytes of what nobody marks. -EINVAL: not it;
 * -ENOMEM, what read(2) says. */
int backing_open_again(struct backing *backing, int fd) MUST_CHECK;
/* The descriptor, to be handed on to another life; -1: no file. */
int backing_fd(const struct backing *backing);
/* No extent is left: cut a file of ours to nothing and let it go. -EBUSY: there
 * is one, or something is in flight, or somebody is in backing_read(). */
int backing_close(struct backing *backing) MUST_CHECK;
/* The end of a mount: the same with whatever is in it, which nobody will read
 * or free again. Nothing is in flight. */
void backing_abandon(struct backing *backing);
bool backing_is_open(const struct backing *backing);
/* A new cap; what is beyond stays until it is free. */
void backing_set_most(struct backing *backing, uint64_t most_bytes);

/* --- writing --- */

/*
 * Append a copy of @n_bytes to what will be written. The extent is not yet
 * readable; done() tells. -EAGAIN: all buffers are in flight, reap first;
 * -ENOSPC: the file is at its cap or the disk is full, but for a segment that
 * only who visits one may put into; -ENOMEM: no RAM for a segment's record; -EIO:
 * the disk has no segment to give, or writing has been stopped after too many
 * errors; -ENODEV: no file. @n_bytes is neither 0 nor above BACKING_OBJECT_MAX.
 * No heap call.
 */
int backing_put(struct backing *backing, const struct extent_owner *owner,
		uint16_t tag, unsigned kind, const void *data, size_t n_bytes,
		uint64_t cookie, struct extent *ret) MUST_CHECK;
/* Start writing what was put, also a chunk that is not full. */
void backing_flush(struct backing *backing);
/* Call done() for what has been written; with @wait for at least one chunk if
 * any is in flight. Gives how many chunks are still in flight. */
unsigned backing_reap(struct backing *backing, bool wait);
/* Start again after it was stopped; the error budget is full again, and what
 * was found damaged may be well. */
void backing_resume(struct backing *backing);
/* The disk may have room again: the next put tries. By itself that happens when
 * its file system has more room, and every ten seconds. */
void backing_try_full(struct backing *backing);

/* --- reading --- */

/* An extent and the life of its segment. */
struct extent_ref {
	struct extent extent;
	uint64_t sequence;
};

/* While the owner's lock keeps the name from being freed. */
struct extent_ref backing_ref(const struct backing *backing,
			      struct extent extent);
/*
 * Read and verify. @buf: BACKING_READ_BYTES, page-aligned. No lock is needed:
 * -ESTALE says that the extent went meanwhile (look at the owner again), -EIO
 * that it is bad or the device is (counted). Blocks on the disk.
 */
int backing_read(struct backing *backing, const struct extent_ref *ref,
		 void *buf, struct extent_view *ret_view) MUST_CHECK;
/* Where to read for it when somebody else does (io_uring): @ret_skip is where
 * the extent begins in the bytes, which come into a buffer that is aligned to a
 * page. The least that the disk gives: often a sector of 512 bytes. Whoever
 * calls sees to it that the file is not closed meanwhile. */
void backing_where(const struct backing *backing, const struct extent_ref *ref,
		   int *ret_fd, uint64_t *ret_offset, size_t *ret_n,
		   size_t *ret_skip);
/* The bytes of neighbours in one go: @n and @offset aligned as backing_where()
 * gives them, @buf page-aligned. An error is not counted: whoever needs one of
 * the extents asks backing_read(). */
int backing_read_blocks(struct backing *backing, uint64_t offset, void *buf,
			size_t n) MUST_CHECK;
/* Is it what begins at @bytes, from wherever they come, all of it? No error is
 * counted. */
bool backing_is_in(const struct backing *backing, const struct extent_ref *ref,
		   void *bytes, struct extent_view *ret_view) MUST_CHECK;
int backing_verify(struct backing *backing, const struct extent_ref *ref,
		   void *bytes, struct extent_view *ret_view) MUST_CHECK;

/* Blocks that were read ahead, all of one life of one segment (@n_bytes: of one
 * or more neighbours). */
struct backing_blocks {
	uint64_t offset;
	uint64_t sequence;
	size_t n_bytes; /* 0: they could not be read */
	char *bytes;    /* page-aligned */
	void *owner;    /* whoever wanted them */
};
/* Where to read for @ref. */
struct backing_blocks backing_blocks_of(const struct backing *backing,
					const struct extent_ref *ref);
/* The same together with @blocks, if it lies in them or within 4 KiB behind:
 * true. */
bool backing_blocks_grow(const struct backing *backing,
			 const struct extent_ref *ref,
			 struct backing_blocks *blocks) MUST_CHECK;
/* The extent out of blocks that were read. False: it is not in them, or it is
 * not right: backing_read() tells. Once only: it may be decrypted in place. */
bool backing_find(struct backing *backing, const struct extent_ref *ref,
		  const struct backing_blocks *blocks,
		  struct extent_view *ret_view) MUST_CHECK;

/* Nobody refers to it any more. An emptied segment is punched and used again.
 * Lock-free but for the last of a segment. Cannot fail. */
void backing_free(struct backing *backing, struct extent extent);
/* Bytes of the file that it takes, and the first of them. */
size_t backing_extent_bytes(struct extent extent);
uint64_t backing_extent_offset(struct extent extent);

/* --- cleaning --- */

/* The segment with the fewest live bytes, if that is below @percent of it and
 * it is not being written: true and its number. Not one again that a visit
 * could not read whole: it goes when its last extent is freed. */
bool backing_thin(struct backing *backing, unsigned percent,
		  uint32_t *ret_segment);
/*
 * Read a segment whole and show each extent that verifies; who is still the
 * owner (by its name) puts it anew. -EIO: part of it could not be read; what
 * verifies was shown. -ENOMEM.
 */
int backing_segment_visit(struct backing *backing, uint32_t segment,
			  void (*visit)(void *arg, struct extent extent,
					const struct extent_view *view),
			  void *arg) MUST_CHECK;

/* --- life after attach, single-threaded --- */

void backing_scan_begin(struct backing *backing);
/* -ERANGE: there can be none; -EEXIST: overlaps one that was marked. */
int backing_mark(struct backing *backing, struct extent extent) MUST_CHECK;
void backing_scan_end(struct backing *backing);
/* Counts against one another: 0 or -EUCLEAN. */
int backing_check(struct backing *backing) MUST_CHECK;
/* How many segments hold on to each kind. Nobody puts or frees. */
void backing_kinds(struct backing *backing, uint32_t ret_holds[BACKING_KINDS]);

/* --- numbers --- */

enum backing_state {
	BACKING_NONE,    /* no file */
	BACKING_ACTIVE,  /* written to when there is need */
	BACKING_FULL,    /* at its cap, or the disk is full; put tries again */
	BACKING_STOPPED, /* too many errors; backing_resume() */
};

struct backing_stats {
	enum backing_state state;
	bool direct; /* without the page cache */
	bool encrypted;
	uint64_t file_bytes;    /* what the file takes on the disk */
	uint64_t most_bytes;    /* its cap; 0: none */
	uint64_t live_bytes;    /* extents with headers and rounding */
	uint64_t payload_bytes; /* of them what owners put, rounded as names */
	uint64_t extents;
	uint64_t segments, segments_reused;
	uint64_t reads, read_bytes, writes, write_bytes; /* since start */
	uint64_t read_errors, write_errors, checksum_errors;
	uint32_t damaged; /* segments in which something could not be read */
};
void backing_stats(struct backing *backing, struct backing_stats *ret);
/* A word for it: none, active, full, stopped. */
const char *backing_state_name(enum backing_state state);

#endif
