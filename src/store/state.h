/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the store's files share: its private state, its locks and the steps
 * that several of them take. Nothing of this is for other folders.
 *
 * Order of locks: one file lock, then one group lock, never two of a kind.
 * The pool's, the tables' and the sets' locks come below both.
 */
#ifndef SRC_STORE_STATE_H
#define SRC_STORE_STATE_H

#include "base/lock.h"
#include "base/tally.h"
#include "store/map.h"
#include "store/spill.h"
#include "store/store.h"

#define STRIPES 256u

/* A lock to a cache line: neighbours must not slow each other down. */
struct group_stripe {
	struct lock lock;
} CACHE_ALIGNED;

struct file_stripe {
	struct rwlock lock;
} CACHE_ALIGNED;

/* Columns of the tally. The first six are sums that also go down. */
enum store_column {
	SUM_SAME,          /* fill pages held */
	SUM_HUGE,          /* raw pages held in RAM */
	SUM_BYTES,         /* bytes of objects */
	SUM_SPILLED,       /* pages held on disk */
	SUM_SPILLED_BYTES, /* bytes of their extents */
	SUM_LOST,          /* pages that read as EIO */
	COUNT_PAGES_READ,
	COUNT_PAGES_WRITTEN,
	COUNT_PAGES_DISCARDED,
	COUNT_BYTES_READ,
	COUNT_BYTES_WRITTEN,
	COUNT_HUGE_SINCE,
	COUNT_COMPACTED,
	COUNT_SIZE_LIMIT_HIT,
	COUNT_MEM_LIMIT_HIT,
	COUNT_READ_ERRORS,
	COUNT_RETRIES,
	COUNT_SHARED,
	COUNT_WRITTEN_BACK,
	COUNT_WRITTEN_BACK_BYTES,
	COUNT_BROUGHT_BACK,
	COUNT_SPILL_READS,
};

struct spill;

/* What one slot decodes where it lies: see pins.c. */
struct pin {
	_Atomic unsigned n;
	_Atomic unsigned waiting; /* who would free one of them */
	_Atomic uint64_t handle[STREAM_BATCH];
	struct lock lock;
	struct cond ended;
} CACHE_ALIGNED;

struct store {
	struct arena *arena;
	struct pool *pool;
	struct sets *sets;
	struct share *share;     /* NULL: everyone works alone */
	struct backing *backing; /* NULL: pages live in RAM alone */
	struct spill *spill;     /* a sweep's; NULL: no file so far */
	_Atomic unsigned promote_ticks;
	struct owed *owed; /* NULL: punches free by themselves */
	_Atomic uint64_t limit_bytes;
	/* Pages held by all bodies: written only when a hole is filled or
	 * made, so rewriting pages shares no line. */
	_Atomic uint64_t held CACHE_ALIGNED;
	struct group_stripe group[STRIPES];
	struct file_stripe file[STRIPES];
	struct tally tally;
	bool in_place; /* the pool lets objects be decoded where they lie */
	_Atomic unsigned pins_end; /* no slot from here on ever had a pin */
	struct pin pin[STREAMS_MAX];
};

static inline void store_count(struct store *store, unsigned row,
			       enum store_column column, int64_t n)
{
	tally_add(&store->tally, row, column, (uint64_t)n);
}

/* --- store.c --- */

struct rwlock *store_file_lock(struct store *store, struct file file);
/* Of the group that holds @page. */
struct lock *store_group_lock(struct store *store, struct file file,
			      uint64_t page);
/* Take up to @n pages of the size limit; gives how many were left. */
uint64_t store_charge(struct store *store, uint64_t n);
void store_uncharge(struct store *store, uint64_t n);
/* The file is at least @end bytes long now. */
void body_grow(struct body *body, uint64_t end);

/* --- books.c: what leaves the store --- */

/* Objects and records to free, and what they were worth in the sums. */
struct books {
	struct store *store;
	unsigned row;
	unsigned n_handles;
	unsigned set; /* whose objects the next count is about */
	int64_t set_objects;
	int64_t same, huge, bytes;
	int64_t spilled, spilled_bytes, lost;
	uint64_t pages; /* held pages among what went */
	struct handle handle[POOL_BATCH_MAX];
};

void books_begin(struct books *books, struct store *store, unsigned row);
/* @word is in no slot any more: free what it owns, at the latest at the end.
 * No lock is needed; a group lock may be held. */
void books_gone(struct books *books, uint64_t word);
void books_end(struct books *books);
/* The same for what map_take() cut off: frees it, uncharges the pages and
 * counts them as discarded. */
void books_free_taken(struct store *store, unsigned row, struct body *body,
		      struct map_taken *taken);

/* --- owed.c: what punches leave to others --- */

void owed_free(struct owed *owed);
/* False: free it yourself. */
bool owed_add(struct owed *owed, struct body *body,
	      const struct map_taken *taken) MUST_CHECK;
/* @body is about to go: nothing that is owed names it any more after this. */
void owed_settle_body(struct store *store, unsigned row,
		      const struct body *body);

/* --- pins.c: objects decoded where they lie --- */

void pins_init(struct store *store);
void pins_fini(struct store *store);
/* @slot: of a stream that the caller holds; a group lock is held. */
void pin_begin(struct store *store, unsigned slot);
/* One that an entry of the group names, up to STREAM_BATCH: it is not freed
 * before pin_end(), until when the caller waits for no lock of the store. */
void pin_object(struct store *store, unsigned slot, struct handle h);
void pin_end(struct store *store, unsigned slot);
/* Until nobody decodes any of @n objects, which no entry names any more: then
 * they may be freed. Any lock but a pool's and a table's may be held. */
void pins_wait(struct store *store, const struct handle *h, unsigned n);

/* Test hook: called between naming and decoding. NULL normally. */
extern void (*_Atomic pins_hook)(void);
static inline void pins_at_window(void)
{
	void (*hook)(void) =
		atomic_load_explicit(&pins_hook, memory_order_relaxed);

	if (unlikely(hook))
		hook();
}

/* --- fetch.c: from an entry to bytes --- */

/* A page's content, copied out from under its lock. */
struct fetched {
	uint64_t fill;    /* when @data is NULL and err is 0 */
	const char *data; /* compressed bytes; NULL: fill */
	size_t n_bytes;
	unsigned length; /* decoded bytes; the page's rest is zeroes */
	unsigned set;
	int err;   /* -EIO: the page is lost */
	bool lost; /* and was counted when it was given up */
	/* Its bytes are on disk: spill_load() comes before fetch_decode(). */
	bool spilled;
	struct extent_ref ref;
	uint64_t word; /* the entry, when @spilled */
};

/*
 * Copy out what @word names; its group lock is held. Bytes go to @out
 * (STREAM_SLOT_BYTES), or to @raw_out when they are a whole raw page and
 * @raw_out is not NULL. @scratch: for the pool. Nothing is read from disk.
 * @out NULL: they stay where they are, and the caller has a pin on them.
 */
void fetch(struct store *store, uint64_t word, void *scratch, char *out,
	   char *raw_out, struct fetched *ret);
/* Have the headers of the objects that @n slots name brought into the cache,
 * all at once: several will be looked at. Entries may change meanwhile. */
void fetch_expect(struct store *store, const _Atomic uint64_t *slots,
		  unsigned n);
/* Decode to the first @n bytes of @page, a buffer of PAGE_BYTES (of @n bytes
 * if @n is PAGE_BYTES or the content is no longer than that). -EIO: counted, if
 * it is RAM's fault. */
int fetch_decode(struct store *store, struct stream *stream,
		 const struct fetched *from, char *page) MUST_CHECK;

/* --- fresh.c: from bytes to an entry --- */

/* One page's new content on its way in. */
struct fresh {
	uint64_t word; /* the entry; generation 0 */
	uint64_t fill;
	const void *data; /* NULL: a fill page */
	uint32_t n_bytes;
	uint16_t tag;
};

/* Compress @length bytes (units of 8) at @src; @out: STREAM_SLOT_BYTES. Holds
 * on to @src and @out until it is placed. */
void fresh_squeeze(struct fresh *fresh, struct stream *stream, unsigned set,
		   const void *src, unsigned length, void *out);
/* Make entries of the first pages of @n: how many could be placed. 0: mem_limit
 * is reached. Objects are counted for their set; sums are not touched. */
unsigned fresh_place(struct store *store, struct stream *stream,
		     struct fresh *fresh, unsigned n);
/* Take back what was placed and not published. */
void fresh_unplace(struct store *store, struct stream *stream,
		   const struct fresh *fresh, unsigned n);
/* Add what was published to the sums. */
void fresh_published(struct store *store, struct stream *stream,
		     const struct fresh *fresh, unsigned n);

/* --- run.c --- */

/* What may take the place of what. */
enum publish_how {
	PUBLISH_WRITE, /* over anything; the file grows */
	PUBLISH_KEEP,  /* over anything; the size stays */
};

/*
 * Store the words of @fresh[0..n) as pages @first on; the file's rwlock is held
 * for reading. Gives how many were published, from the front; for fewer than
 * @n, why in @ret_err. Old words go into @books.
 */
unsigned run_publish(struct store *store, struct file file, uint64_t first,
		     const struct fresh *fresh, unsigned n,
		     enum publish_how how, struct books *books, int *ret_err);
/* Compress @n whole pages (1 to STREAM_BATCH) and place them in the pool: how
 * many from the front. No lock is held. */
unsigned run_place(struct store *store, struct stream *stream, const char *src,
		   struct fresh *fresh, unsigned n);
/* Publish what was placed, any number, as pages @first on: how many from the
 * front; the others are taken back. For fewer than @n, why in @ret_err. */
unsigned run_commit(struct store *store, struct stream *stream,
		    struct file file, uint64_t first, const struct fresh *fresh,
		    unsigned n, int *ret_err);
/* Write @n whole pages (1 to STREAM_BATCH): how many from the front; 0 and an
 * error in @ret_err. */
unsigned run_write(struct store *store, struct stream *stream, struct file file,
		   uint64_t first, const char *src, unsigned n, int *ret_err);

/* --- read.c --- */

/* As store_read_ahead(), below the file's size and in this thread. */
int read_range(struct store *store, struct stream *stream, struct file file,
	       uint64_t offset, char *dst, size_t n,
	       const struct store_ahead *ahead) MUST_CHECK;

/* --- parts.c: large requests in several threads --- */

/* Write up to @n whole pages as run_write() does. 0: it was not shared, or
 * there was no room for a single page; nothing has changed. */
unsigned parts_write(struct store *store, struct stream *stream,
		     struct file file, uint64_t first, const char *src,
		     size_t n);
/* As read_range(). False: it was not shared, nothing was done. */
bool parts_read(struct store *store, struct stream *stream, struct file file,
		uint64_t offset, char *dst, size_t n, int *ret_err);

/* --- page.c --- */

/* A change of bytes [from, to) of one page. */
struct edit {
	uint64_t page;
	unsigned from, to;
	const char *src; /* NULL: zeroes, and holes stay holes */
	/* What is on disk is waited for with the rwlock held; else -EREMOTE,
	 * and the caller lets go of the lock for spill_recall(). */
	bool waits;
};

/* Locks on its own. */
int page_write(struct store *store, struct stream *stream, struct file file,
	       const struct edit *edit) MUST_CHECK;
/* The same with the file's rwlock held, for reading or writing. */
int page_edit(struct store *store, struct stream *stream, struct file file,
	      const struct edit *edit) MUST_CHECK;
/*
 * Bytes beyond the size in the page that it ends in go, rwlock held. They are
 * there after a cut that found no room to rewrite the page, or a crash
 * between entry and size; so this comes before every growth past that page.
 * A page that cannot be read stays as it is.
 */
int page_trim(struct store *store, struct stream *stream,
	      struct file file) MUST_CHECK;
/* Page @first is about to be published: page_trim() if it is behind the page
 * that the file ends in. */
int page_trim_before(struct store *store, struct stream *stream,
		     struct file file, uint64_t first) MUST_CHECK;

/* --- ahead.c --- */

/* The extent out of what was read ahead (NULL: nothing was), verified. False:
 * it is not there. */
bool ahead_find(struct store *store, const struct store_ahead *ahead,
		const struct extent_ref *ref,
		struct extent_view *ret_view) MUST_CHECK;

/* --- spill.c --- */
void spill_fini(struct store *store);

/* --- spill_read.c: pages that are on disk --- */

_Static_assert(BACKING_READ_BYTES + PAGE_BYTES <= 4 * STREAM_SLOT_BYTES,
	       "an aligned buffer lies in four slots of out[]");
/* For spill_load(): the first four slots of out[]. */
char *spill_buffer(const struct stream *stream);
/*
 * Read what fetch() found spilled: the bytes are in @buf (BACKING_READ_BYTES,
 * page-aligned), or @from->err says that they are lost. Blocks. -ESTALE: the
 * page is not what it was; look again.
 */
int spill_load(struct store *store, struct file file, uint64_t page, void *buf,
	       struct fetched *from) MUST_CHECK;
/* What a read of it came to, for whoever decodes it. */
void spill_take_view(struct store *store, struct file file, uint64_t page,
		     int err, const struct extent_view *view,
		     struct fetched *from);
/* Neighbours on disk that one read brought; in out[], behind spill_buffer(). */
struct spill_run {
	uint64_t offset; /* in the file */
	size_t n;        /* 0: nothing was read */
	char *bytes;
};
/*
 * As spill_load() for @from[0], page @page, out of @run if it is there; else
 * as many of @from[0..@n) as lie together are read into it first. What is not
 * spilled is passed over.
 */
int spill_load_run(struct store *store, struct stream *stream, struct file file,
		   uint64_t page, struct fetched *from, unsigned n,
		   struct spill_run *run) MUST_CHECK;
/* As spill_load() out of what was read ahead; false: it is not there. */
bool spill_load_ahead(struct store *store, struct file file, uint64_t page,
		      const struct store_ahead *ahead,
		      struct fetched *from) MUST_CHECK;
/* What was loaded becomes an object in RAM. -ENOSPC; -EAGAIN: the page is not
 * what it was. @row: of a stream held, or TALLY_SHARED_ROW. */
int spill_return(struct store *store, unsigned row, struct file file,
		 uint64_t page, const struct fetched *from) MUST_CHECK;
/* 1: it came, whatever it was meanwhile; 0: it is not spilled; -EIO, -ENOSPC.
 * @buf: as spill_load(). */
int spill_bring(struct store *store, unsigned row, struct file file,
		uint64_t page, void *buf) MUST_CHECK;
/* @fresh in place of the extent that @from is of; how its word was. */
bool spill_swap(struct store *store, struct file file, uint64_t page,
		const struct fetched *from, uint64_t fresh,
		uint64_t *ret_old) MUST_CHECK;
/* The same after a read, if it was not the first one and there is room. */
void spill_promote(struct store *store, unsigned row, struct file file,
		   uint64_t page, const struct fetched *from);
/* A part of @page will be changed: bring it back first, no lock held. That it
 * stays where it is is no error. */
void spill_recall(struct store *store, struct stream *stream, struct file file,
		  uint64_t page);

/* --- walk.c --- */

struct walk {
	/* NULL: skip. A group lock is held: nothing that takes one. */
	void (*entry)(void *arg, uint64_t page, uint64_t word);
	/* A node that is there, lost ones as NODE_BAD; @base: its first page. */
	void (*node)(void *arg, uint32_t ix, unsigned height, uint64_t base);
	void *arg;
};

/* Show all that pages [@first, @end) of the file have; its rwlock is held, the
 * group locks are taken one after the other. */
void walk_pages(struct store *store, struct file file, uint64_t first,
		uint64_t end, const struct walk *walk);

/* --- survey.c --- */

/* An object's length, set and decoded length; -EIO. Its group lock is held. */
int survey_object(struct store *store, uint64_t word, size_t *ret_bytes,
		  uint16_t *ret_tag) MUST_CHECK;

/* --- range.c --- */

/* -EFBIG when a file cannot reach to @offset + @n. */
int range_end(uint64_t offset, uint64_t n, uint64_t *ret_end) MUST_CHECK;
/* Zero the parts of [@offset, @end) that are no whole pages; no lock held. */
int range_zero_edges(struct store *store, struct stream *stream,
		     struct file file, uint64_t offset,
		     uint64_t end) MUST_CHECK;
/* Grow to @size if it is smaller; the file's rwlock is held for reading. */
int range_grow_held(struct store *store, struct stream *stream,
		    struct file file, uint64_t size) MUST_CHECK;

#endif
