/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spilling as the mount does it: the background task that keeps memory between
 * two marks, writers that wait for it, and what is done by hand.
 *
 * By hand: these calls may take minutes. They come from the slow later thread,
 * one at a time, after spiller_claim().
 */
#ifndef SRC_FS_SPILLER_H
#define SRC_FS_SPILLER_H

#include "backing/backing.h"
#include "fs/state.h"

/* -ENOMEM, -EAGAIN (no thread). Without a file yet. */
int spiller_start(struct fs *fs, struct spiller **ret) MUST_CHECK;
/* The mount is going, though it may stay for as long as files are in use: what
 * is done by hand ends with -EINTR. */
void spiller_call_off(struct spiller *spiller);
/* The mount is about to end: nobody waits any more, what goes on ends soon. */
void spiller_cancel(struct spiller *spiller);
/* After whoever might wait has gone, before the tidy task. NULL is fine. */
void spiller_stop(struct spiller *spiller);

/* --- writers --- */

/* Has it begin when there is need. A few loads. */
void spiller_look(struct spiller *spiller);
/* The same after a worker has written @bytes: now and then also for its clock. */
void spiller_wrote(struct spiller *spiller, struct worker *w, uint64_t bytes);
/* For its clock, after a read. Two loads, and rarely more. */
void spiller_read(struct spiller *spiller);
/*
 * RAM was too short for something. Waits until some has been freed: true, it is
 * worth trying again; false: there is none to come, or RAM is not what is
 * short. Holds no lock and no stream.
 */
bool spiller_wait(struct spiller *spiller);
/* There is a file that pages go to, and it is not just being detached: only then
 * does spiller_wait() call off nothing. Three loads. */
bool spiller_is_open(const struct spiller *spiller);

/* --- by hand --- */

enum spill_order_kind {
	SPILL_ORDER_MOUNT, /* of who may turn knobs: waits for its turn */
	SPILL_ORDER_FILE,  /* of a file's owner: goes last */
};
/* From the request until it has been carried out. -EBUSY: something else is
 * done by hand and this is a file's, or too many wait. (zram's EAGAIN would
 * reach nobody: of setxattr(2) the kernel makes EOPNOTSUPP of it.) */
int spiller_claim(struct spiller *spiller,
		  enum spill_order_kind kind) MUST_CHECK;
void spiller_release(struct spiller *spiller, enum spill_order_kind kind);

/* As backing_open(); why not is logged. -EBUSY: there is a file. @path is
 * absolute, else -EINVAL. Also at start, without a claim. */
int spiller_attach(struct spiller *spiller, const char *path) MUST_CHECK;
#define SPILL_WHY_MAX 512
/* What was wrong with the file of the last spiller_attach(), in a sentence;
 * false: that did not end with @err because of a file. */
bool spiller_why(struct spiller *spiller, int err, char why[SPILL_WHY_MAX]);
/*
 * Bring everything back, then let the file go. -ENOSPC: it does not fit, or a
 * writer found no room meanwhile; -EIO: some cannot be read; -EINTR: called off.
 * Then the file stays.
 */
int spiller_detach(struct spiller *spiller) MUST_CHECK;

enum spill_what { SPILL_ALL, SPILL_IDLE, SPILL_HUGE, SPILL_HUGE_IDLE };
/* As zram has it; "incompressible" is another word for huge. -EINVAL. */
int spiller_what(const char *word, enum spill_what *ret) MUST_CHECK;
/* Write pages of a kind to the file. -ENODEV: there is none; -ENOSPC: it is
 * full, or writeback_limit is reached; -EIO; -EINTR. */
int spiller_write_back(struct spiller *spiller,
		       enum spill_what what) MUST_CHECK;
/* Pages not touched for @seconds, and not from now on, are idle; 0: all. */
int spiller_mark_idle(struct spiller *spiller, uint64_t seconds) MUST_CHECK;
/* Pages of one file, [@first_page, @end_page), out to the file or back in;
 * errors as above; -EBUSY: an order of the mount's goes before the rest. */
int spiller_move(struct spiller *spiller, struct file file, bool out,
		 uint64_t first_page, uint64_t end_page) MUST_CHECK;

/* --- knobs: any thread --- */

/* "read": begin to read all that is on disk, and note what cannot be read;
 * "give_up": such pages are lost then (EIO until they are overwritten), and the
 * file can go; "stop". -EINVAL, -ENODEV, -ENOMEM; -EBUSY: it is being read. */
int spiller_scrub(struct spiller *spiller, const char *word) MUST_CHECK;

/* After too many errors; also calls a detach off. -ENODEV. */
int spiller_resume(struct spiller *spiller) MUST_CHECK;
/* -ERANGE: low is not below high. */
int spiller_set_high(struct spiller *spiller, unsigned percent) MUST_CHECK;
int spiller_set_low(struct spiller *spiller, unsigned percent) MUST_CHECK;
/* The file's cap; 0: none. -ERANGE: less than one segment. */
int spiller_set_size(struct spiller *spiller, uint64_t bytes) MUST_CHECK;
/* Pages in flight of what is written by hand, 1 to SPILL_BATCH_MOST. */
void spiller_set_batch(struct spiller *spiller, unsigned pages);
void spiller_set_promote(struct spiller *spiller, bool promote);
/* What may still be written, if @on. */
void spiller_set_limit(struct spiller *spiller, uint64_t bytes);
void spiller_set_limit_on(struct spiller *spiller, bool on);
/* Set the limit to this now and once a day; 0: never by itself. */
void spiller_set_limit_daily(struct spiller *spiller, uint64_t bytes);

/* --- numbers --- */

#define SPILL_STATE_MAX 32

/* How the reading of all that is on disk stands; pages that it found. */
#define SPILL_FOUND_MOST 64u
enum spill_scrub_state {
	SPILL_SCRUB_NEVER,
	SPILL_SCRUB_RUNS,
	SPILL_SCRUB_DONE,
	SPILL_SCRUB_STOPPED,
};
struct spill_scrub {
	enum spill_scrub_state state;
	bool give_up;
	uint64_t all, pages; /* when it began; looked at so far */
	uint64_t unreadable;
	unsigned n_found;
	struct spill_found {
		uint32_t ix;
		uint64_t first, last;
	} found[SPILL_FOUND_MOST];
};
/* "reading 37%", "done 12 pages, 0 unreadable"; and "12:0-7 13:5-5" of inodes
 * and pages, or "none". */
#define SPILL_SCRUB_MAX 96
#define SPILL_FOUND_MAX (SPILL_FOUND_MOST * 56)
void spill_scrub_text(const struct spill_scrub *scrub,
		      char text[SPILL_SCRUB_MAX]);
void spill_found_text(const struct spill_scrub *scrub,
		      char text[SPILL_FOUND_MAX]);

struct spiller_info {
	char state[SPILL_STATE_MAX];
	char *path;          /* heap_alloc()ed; NULL: no file, or no memory */
	uint64_t most_bytes; /* spill_size= */
	unsigned high, low;
	unsigned batch;
	bool promote, limit_on, encrypted;
	uint64_t limit_bytes, limit_daily_bytes;
	uint64_t sweeps, waits;
	bool was_idle; /* spiller_mark_idle() with idle_seconds */
	uint64_t idle_seconds;
	const char *written; /* by hand, last; NULL: nothing */
	uint64_t written_pages;
	struct spill_scrub scrub;
	struct backing_stats backing;
};
void spiller_info(struct spiller *spiller, struct spiller_info *ret);

#endif
