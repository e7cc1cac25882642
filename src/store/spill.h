/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spilling: moving pages between RAM and the backing file.
 *
 * A sweep claims a page by a mark in its entry, copies the compressed bytes to
 * the backing, and holds nothing while they are written. When they are, the
 * entry is looked up anew by the file's number: only if it is still the word
 * that was claimed does it name the extent from then on. Whatever happened
 * meanwhile (a touch, an overwrite, a cut, another file of that number) makes
 * the extent garbage, never the page.
 *
 * Reading a spilled page takes no part of this: see store/read.c.
 *
 * Threads: a sweep, from begin to end, belongs to one thread at a time; there
 * is one at a time. Everything else here may be called by any thread. No call
 * needs a stream, so none keeps a worker waiting for the disk.
 */
#ifndef SRC_STORE_SPILL_H
#define SRC_STORE_SPILL_H

#include "backing/backing.h"
#include "store/entry.h"
#include "store/store.h"

/* What backing_new() is given; its argument is the store. */
extern const struct backing_ops store_backing_ops;

/* Pages live in @backing as well from now on; before the first request and
 * before a rebuild. It outlives the store. */
void store_use_backing(struct store *store, struct backing *backing);
/* What a sweep works with, before the file is opened: 133 KiB that no mount has
 * without one. Once there it stays, for the next file. No sweep runs. -ENOMEM. */
int store_spill_prepare(struct store *store) MUST_CHECK;
/* A spilled page comes back to RAM when it is read a second time before @ticks
 * of its age have passed; 0: none does. ENTRY_AGAIN_TICKS, at first, is most. */
void store_set_promote(struct store *store, unsigned ticks);
/* Pages read from the backing file. One load. */
uint64_t store_spill_reads(const struct store *store);

/* --- ages --- */

/* Bytes of objects in RAM by the age of their pages: raw ones apart. */
struct store_ages {
	uint64_t bytes[ENTRY_AGE_MAX + 1];
	uint64_t raw_bytes[ENTRY_AGE_MAX + 1];
};

/* Add the pages of @file to @ages; with @tick each is one older before. A read
 * or a write makes a page 0 ticks old. */
void store_age_body(struct store *store, struct file file, bool tick,
		    struct store_ages *ages);

/* --- a sweep --- */

#define SPILL_NONE (ENTRY_AGE_MAX + 1) /* an age that no page has */

/* Pages in flight, of a sweep. */
#define SPILL_BATCH_MOST 4096u

/* What is written out. */
struct spill_pick {
	unsigned min_age;     /* of pages that compress; 0: all */
	unsigned raw_min_age; /* of raw pages */
	uint64_t first_page, end_page;
	uint64_t budget_bytes; /* of objects; UINT64_MAX: no limit */
	unsigned batch;        /* most pages in flight; 0: SPILL_BATCH_MOST */
};

/* How to come back to a file whose pages have been written. */
struct spill_files {
	/* Call @call with the file of number @ix, which cannot go meanwhile.
	 * False: there is none. No lock is held here. */
	bool (*with)(void *arg, uint32_t ix,
		     void (*call)(void *call_arg, struct file file),
		     void *call_arg);
	void *arg;
};

/* What a sweep came to. */
struct spill_result {
	uint64_t pages, bytes; /* no longer in RAM: objects and their bytes */
	uint64_t changed;      /* pages that were not what was claimed */
	uint64_t failed;       /* pages that could not be written and stay */
	uint64_t cleaned;      /* extents that were written anew */
	int err;               /* why it stopped early: as backing_put() */
};

/* -EAGAIN: another sweep runs; -ENODEV: no backing, or one without a file, or
 * not prepared. */
int store_spill_begin(struct store *store, const struct spill_pick *pick,
		      const struct spill_files *files) MUST_CHECK;
/* Put what is to be picked of @file; pages beyond 2^32 stay in RAM. The file
 * may go as soon as this returns. False: no more is needed, or possible. */
bool store_spill_body(struct store *store, struct file file);
/*
 * Write what is left in the segment with the fewest live bytes anew, if that
 * are less than @percent of it. False: there is none, or it was of no use.
 */
bool store_spill_clean(struct store *store, unsigned percent);
/* Wait for all that was put. Afterwards nothing is in flight. */
void store_spill_end(struct store *store, struct spill_result *ret_result);

/* --- all of a file that is on disk --- */

struct spill_scan {
	enum {
		SPILL_SCAN_FETCH, /* bring it back to RAM */
		SPILL_SCAN_READ,  /* see whether it can be read */
		SPILL_SCAN_GIVE_UP, /* what cannot is lost: EIO until overwritten */
	} how;
	/* Shown each page that cannot be read; may be NULL. No lock is held. */
	void (*unreadable)(void *arg, struct file file, uint64_t page);
	void *arg;
};
struct spill_scanned {
	uint64_t pages; /* came back, or can be read */
	uint64_t unreadable;
};
/* What is read once serves the next file too, if it lies behind: one reader
 * for many files is better than many. One thread at a time. */
struct spill_reader;
int spill_reader_new(struct store *store, struct spill_reader **ret) MUST_CHECK;
/* NULL is fine. */
void spill_reader_free(struct spill_reader *reader);
/*
 * Those of pages [@first, @end) that are on disk, in the order in which they
 * lie there. -ENOSPC: no room for more in RAM, the others stay where they are.
 * @ret counts also on an error.
 */
int store_spill_scan(struct spill_reader *reader, struct file file,
		     uint64_t first, uint64_t end,
		     const struct spill_scan *what,
		     struct spill_scanned *ret) MUST_CHECK;
/*
 * One file by itself: bring the spilled ones of pages [@first_page, @end_page)
 * back. -ENOSPC; -EIO: some cannot be read and stay; -ENOMEM. @ret_pages: how
 * many came, also on an error.
 */
int store_fetch_body(struct store *store, struct file file, uint64_t first_page,
		     uint64_t end_page, uint64_t *ret_pages) MUST_CHECK;

/*
 * Test hook: called in a sweep at each moment when nothing is held. NULL
 * normally.
 */
enum spill_window {
	SPILL_CLAIMED, /* between claim and put */
	SPILL_PUT,     /* between put and completion */
	SPILL_DONE,    /* completed, the file not looked up yet */
	SPILL_COMMIT,  /* the file is found, its entry not */
};
extern void (*_Atomic spill_hook)(enum spill_window window);

#endif
