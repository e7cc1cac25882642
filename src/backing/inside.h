/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of src/backing share: segments, chunks, and who may change
 * what.
 *
 * Truth is in the arena: a record for each segment in use and the words below.
 * The rest is derived. A segment is referred to by its live extents and by
 * pins (open for writing, a chunk in flight, a visit), all counted in one
 * word; whoever takes the last away retires it, alone, for nobody can find it
 * any more. LOCK_BACKING covers which segments are free and the file's end; the
 * writer's part belongs to the one thread that writes.
 */
#ifndef SRC_BACKING_INSIDE_H
#define SRC_BACKING_INSIDE_H

#include "backing/crypt.h"
#include "backing/extent.h"
#include "backing/io.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/sparse.h"
#include <sys/types.h>

/* Words of the arena, from ARENA_WORD_BACKING on. */
enum backing_word {
	WORD_SEQUENCE, /* the next one */
	WORD_KEY,
	WORD_FLAGS = WORD_KEY + CRYPT_KEY_WORDS,
	WORD_FILE, /* what the file's header says too; 0: no file */
	WORD_MOST, /* its cap */
	WORD_NR
};
static_assert(ARENA_WORD_BACKING + WORD_NR <= ARENA_WORD_NR, "words enough");

#define FLAGS_CIPHER 3u /* enum crypt_cipher */

/* One life of a segment, in TABLE_SEGMENTS. */
struct segment_record {
	_Atomic uint64_t sequence; /* 0: not in use */
	_Atomic uint64_t kinds;    /* a bit for each that is held */
	uint32_t segment;          /* its number */
	uint32_t unused[11];
};
static_assert(sizeof(struct segment_record) == SEGMENT_RECORD_BYTES, "record");

struct segment {
	_Atomic uint64_t sequence; /* 0: free, or being emptied */
	_Atomic uint64_t count;    /* COUNT_* */
	uint32_t record;           /* RECORD_NONE: free. LOCK_BACKING */
	bool used_before;
	bool barren;      /* nothing has been written to it in this life */
	bool damaged;     /* a visit could not read all of it; the writer's */
	_Atomic bool bad; /* whoever read it could not; counted */
};

/* The word `count`: live units, live extents, pins. */
#define COUNT_EXTENT (UINT64_C(1) << 20)
#define COUNT_PIN (UINT64_C(1) << 40)
static inline uint32_t count_units(uint64_t count)
{
	return count & (COUNT_EXTENT - 1);
}
static inline uint32_t count_extents(uint64_t count)
{
	return count >> 20 & (COUNT_EXTENT - 1);
}
static inline uint32_t count_pins(uint64_t count)
{
	return (uint32_t)(count >> 40);
}

/* The most extents that fit a chunk. */
#define CHUNK_EXTENTS (BACKING_CHUNK_BYTES / (EXTENT_UNITS_MIN * BACKING_UNIT))
#define CHUNK_MAP_BYTES (BACKING_CHUNK_BYTES + CHUNK_EXTENTS * sizeof(uint64_t))
#define CHUNKS IO_SLOTS

struct chunk {
	struct backing *backing;
	char *bytes;       /* NULL: there was no memory for it yet */
	uint64_t *cookies; /* of its extents, in their order */
	bool in_flight;
	bool sealed; /* of whoever writes it, while in flight */
	uint32_t segment;
	uint32_t start;         /* byte of the segment */
	uint32_t most_bytes;    /* room up to the segment's end */
	uint32_t fill_bytes;    /* of extents */
	uint32_t n_bytes;       /* of blocks, once it is written */
	uint32_t written_bytes; /* of them */
	unsigned extents;
	unsigned tries;
};

#define SEGMENT_NONE UINT32_MAX
/* Of fewer segments none is kept for cleaning. */
#define SPARE_LEAST 4u
/* Failed writes until it is stopped; so many chunks written well make up for
 * one. */
#define FAILURES_MAX 8u
#define FORGIVE_CHUNKS 64u
/* Then a full disk is tried again, whatever it says of its room: a device says
 * nothing, nor does a quota. */
#define FULL_AGAIN_NS (10 * NS_PER_S)

enum counter {
	COUNT_READS,
	COUNT_READ_BYTES,
	COUNT_WRITES,
	COUNT_WRITE_BYTES,
	COUNT_READ_ERRORS,
	COUNT_WRITE_ERRORS,
	COUNT_CHECKSUM_ERRORS,
	COUNT_REUSED,
	COUNTER_NR
};

struct backing {
	struct arena *arena;
	const struct backing_ops *ops;
	void *arg;
	struct lock lock;
	struct sparse segments;  /* struct segment, below end */
	struct sparse marks;     /* a bit a unit, during a scan */
	_Atomic uint32_t end;    /* one past the highest in use; under lock */
	uint32_t lowest_free;    /* none below is. LOCK_BACKING */
	uint32_t used;           /* segments. LOCK_BACKING */
	uint64_t room_when_full; /* on the disk, when it was. LOCK_BACKING */
	uint64_t full_ns;        /* when it was last found full. LOCK_BACKING */
	bool disk_full;          /* LOCK_BACKING */

	/* The file: changed while nothing of it is used. */
	_Atomic int fd; /* -1: none */
	_Atomic bool is_device;
	_Atomic bool direct;
	_Atomic uint32_t
		sector;        /* bytes: reads begin and end at its multiples */
	uint64_t device_bytes; /* UINT64_MAX: a file */
	struct crypt *crypt;   /* NULL: not encrypted */
	_Atomic uint64_t most_bytes;
	_Atomic uint32_t readers; /* in backing_read() */

	/* The writer's. */
	struct io *io;
	struct chunk chunks[CHUNKS];
	struct chunk *filling;
	uint32_t open_segment; /* SEGMENT_NONE, or where the next chunk goes */
	uint32_t open_bytes;   /* of it that are given to chunks */
	bool cleaning;         /* what is put goes on a visit's behalf */
	char *window;          /* of a visit; NULL: there was none yet */
	bool leave_open;       /* it had an error: no further chunk */
	unsigned in_flight;
	unsigned good_chunks;      /* since the last failure was forgiven */
	_Atomic unsigned failures; /* from FAILURES_MAX on it is stopped */
	_Atomic bool full;         /* the last try found no room */

	_Atomic uint32_t bad_segments;
	_Atomic uint64_t counter[COUNTER_NR];
};

static inline struct segment *segment_at(const struct backing *b, uint32_t ix)
{
	return (struct segment *)(void *)b->segments.base + ix;
}

static inline struct segment_record *record_of(const struct backing *b,
					       uint32_t ix)
{
	return table_at(b->arena, TABLE_SEGMENTS, segment_at(b, ix)->record);
}

static inline uint32_t segments_end(const struct backing *b)
{
	/* Pairs with the release in segment.c: what is below is ready. */
	return atomic_load_explicit(&b->end, memory_order_acquire);
}

static inline _Atomic uint64_t *word_of(const struct backing *b, unsigned word)
{
	return arena_word(b->arena, ARENA_WORD_BACKING + word);
}

static inline int backing_descriptor(const struct backing *b)
{
	return atomic_load_explicit(&b->fd, memory_order_acquire);
}

static inline void backing_count(struct backing *b, enum counter counter,
				 uint64_t n)
{
	atomic_fetch_add_explicit(&b->counter[counter], n,
				  memory_order_relaxed);
}

/* --- file.c: the file once it is open --- */

/* Its first block. */
struct file_header {
	char magic[24];
	uint64_t id; /* a number of this mount's */
	uint64_t cipher;
	char zero[BLOCK_BYTES - 40];
};
static_assert(sizeof(struct file_header) == BLOCK_BYTES, "one block");
#define FILE_MAGIC "foldfs backing file 1\n"

/* Give the bytes of a segment back to the disk. */
void file_punch(const struct backing *b, uint32_t segment);
/* Cut behind segment @end. */
void file_cut(const struct backing *b, uint32_t end);
/* Have room for @segment: -ENOSPC, or what else the disk says. */
int file_reserve(const struct backing *b, uint32_t segment) MUST_CHECK;
/* Drop from the page cache what was read. */
void file_uncache(int fd, uint64_t offset, size_t n_bytes);
/* Free bytes of its file system; 0 unknown. */
uint64_t file_system_room(const struct backing *b);
/* How many segments may be in use. */
uint32_t file_segments_most(const struct backing *b);
/* What a read has to be aligned to: as little as O_DIRECT allows. */
uint32_t file_sector(const struct backing *b, int fd);
/* Bytes it takes on the disk. */
uint64_t file_disk_bytes(struct backing *b);
/* Nothing of ours is left in it. */
void file_wipe(int fd, bool is_device);

/* --- path.c --- */

/* Does @path lie on a foldfs, as @mountinfo (/proc/self/mountinfo) has it? No
 * part of it that does is touched. 0, -EXDEV, and what readlink(2) says. */
int path_check(const char *path, const char *mountinfo) MUST_CHECK;
/*
 * The same for what is open already: @dev is the block device, or what the file
 * system of a file is on, as sysfs (/sys/dev/block) has it. Loop devices are
 * followed to their files, stacked ones to what is below. 0 also where that
 * cannot be told.
 */
int path_check_device(dev_t dev, const char *sysfs,
		      const char *mountinfo) MUST_CHECK;

/* --- segment.c --- */

/* A free segment is opened: pinned, with room on the disk. -ENOSPC; -ENOMEM:
 * no RAM for its record. */
int segment_open(struct backing *b, uint32_t *ret_segment) MUST_CHECK;
/* Units, extents and pins come and go. The last to go retires it. */
void segment_add(struct backing *b, uint32_t segment, uint64_t count);
void segment_sub(struct backing *b, uint32_t segment, uint64_t count);
/* Pin one that is in use; false: it is not. */
bool segment_try_pin(struct backing *b, uint32_t segment);
/* Its first extent of @kind is held. */
void segment_hold(struct backing *b, uint32_t segment, unsigned kind);
/* A write found the disk full: no further try until there is more room. */
void segment_no_room(struct backing *b);
/* Something in it could not be read; that is over. */
void segment_is_bad(struct backing *b, uint32_t segment, bool bad);
/* The file ends behind the last segment in use. */
void segments_cut_locked(struct backing *b) REQUIRES(b->lock);

/* --- log.c --- */

/* Memory for chunks, as much as there is; -ENOMEM: not even for one. */
int chunks_up(struct backing *b) MUST_CHECK;
void chunks_down(struct backing *b);
/* No further chunk goes into the open segment. */
void log_leave_segment(struct backing *b);
/* The disk said @err: a full one is waited for, else it is stopped in time. */
void log_note_error(struct backing *b, int err);

/* --- visit.c --- */

/* Memory that visits read into, until the file goes: the first one brings it,
 * or the file itself where nothing may be mapped later. -ENOMEM. */
int window_up(struct backing *b) MUST_CHECK;
void window_down(struct backing *b);

/* --- read.c --- */

/*
 * Is @bytes the extent of @units at @unit, put in the life @sequence? Its bytes
 * are at @dst afterwards if it is encrypted, else where they were.
 */
bool extent_verify(const struct backing *b, uint64_t sequence, uint64_t unit,
		   unsigned units, const char *bytes, char *dst,
		   struct extent_view *ret_view);
/* The checksum of @bytes, a header (but for its check) and what follows. */
uint64_t extent_check(uint64_t sequence, uint64_t unit, const char *bytes,
		      size_t n_bytes);

/* --- open.c --- */

/* Memory, descriptor and engine go; the file stays as it is. */
void file_let_go(struct backing *b);
/* As backing_open() with an engine of @kind, for tests. */
int backing_open_kind(struct backing *backing,
		      const struct backing_config *config, enum io_kind kind,
		      char *why, size_t why_bytes) MUST_CHECK;

#endif
