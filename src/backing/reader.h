/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads that nobody waits for: one thread starts them and learns by a
 * descriptor that some have ended.
 *
 * A reader belongs to the thread that made it. While one of its reads is under
 * way backing_close() says -EBUSY.
 */
#ifndef SRC_BACKING_READER_H
#define SRC_BACKING_READER_H

#include "backing/backing.h"

struct backing_reader;

/*
 * A read that the kernel cannot start without waiting, for a lock that a write
 * holds most of all, it gives to a thread that it makes: no more than so many at
 * a time for each reader. They are charged to the daemon, 20 KiB each measured.
 */
#define BACKING_READER_THREADS 2u

/* With up to @most reads under way, at least 32. -ENOSYS: this build or this
 * kernel has no io_uring; -ENOMEM, -EMFILE, and what io_uring_setup(2) says. */
int backing_reader_new(struct backing *backing, unsigned most,
		       struct backing_reader **ret) MUST_CHECK;
/* None is under way. NULL is fine. */
void backing_reader_free(struct backing_reader *reader);
/* To be watched with EPOLLET: it is written to when some end, and never read. */
int backing_reader_fd(const struct backing_reader *reader);

/* @what, with its bytes page-aligned, is the reader's until it has been reaped.
 * -EAGAIN: so many are under way; -ENODEV: no file. */
int backing_reader_start(struct backing_reader *reader,
			 struct backing_blocks *what) MUST_CHECK;
/* The kernel learns of those that were started, at the latest now. */
void backing_reader_submit(struct backing_reader *reader);
/* One that has ended, with n_bytes 0 if it failed; NULL: none has, or with
 * @wait none is under way. */
struct backing_blocks *backing_reader_reap(struct backing_reader *reader,
					   bool wait);
/* Is there one to be reaped? A few loads. */
bool backing_reader_has_some(const struct backing_reader *reader);

#endif
