/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading and writing the file: several writes in flight, by io_uring where it
 * can be had, else by threads.
 *
 * One thread at a time writes and reaps; any thread reads.
 */
#ifndef SRC_BACKING_IO_H
#define SRC_BACKING_IO_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes in flight at most; each has a slot, chosen by the caller. */
#define IO_SLOTS 4u

struct io_write {
	int fd;
	const char *bytes;
	size_t n_bytes;
	uint64_t offset;
	/* Makes the bytes what they are to be, where the write is done; may be
	 * called again for the rest of a write. NULL: they are. */
	void (*prepare)(void *arg);
	void *arg;
};

/* How a kind of engine does it; see io.c. */
struct io;
struct io_ops {
	void (*free)(struct io *io);
	void (*start)(struct io *io, unsigned slot, const struct io_write *w);
	bool (*reap)(struct io *io, bool wait, unsigned *ret_slot,
		     int *ret_result);
};
struct io {
	const struct io_ops *ops;
	unsigned in_flight;
	uint8_t ended;   /* slots whose write was not given to the engine */
	uint8_t changed; /* slots whose result a test decides */
	int result[IO_SLOTS];
};

enum io_kind {
	IO_BEST, /* io_uring or, where that is not to be had, threads */
	IO_THREADS,
	IO_CACHED, /* threads, and the page cache although O_DIRECT works */
};

/*
 * @cached: the file has no O_DIRECT, what was written is pushed out and dropped
 * from the page cache; that is done by threads. -ENOMEM, -EAGAIN.
 */
int io_new(enum io_kind kind, bool cached, struct io **ret) MUST_CHECK;
/* Nothing is in flight. NULL is fine. */
void io_free(struct io *io);

/* @w's bytes stay as they are until its slot is reaped. */
void io_start(struct io *io, unsigned slot, const struct io_write *w);
/* A write that has ended: bytes written or -errno. False: none has, or with
 * @wait none is in flight. */
bool io_reap(struct io *io, bool wait, unsigned *ret_slot, int *ret_result);

/* All of it or -errno; -EIO: the file ends before. */
int io_read_all(int fd, void *buf, size_t n_bytes, uint64_t offset) MUST_CHECK;
/* What a test makes of @n_bytes that were read otherwise. */
int io_was_read(uint64_t offset, void *buf, size_t n_bytes) MUST_CHECK;
int io_write_all(const struct io_write *w) MUST_CHECK;
/* Room on the disk; -EOPNOTSUPP: its file system does not know of that. */
int io_reserve(int fd, uint64_t offset, uint64_t n_bytes) MUST_CHECK;

/* What a test makes of reads and writes; each may be NULL. */
struct io_faults {
	/* Of @n_bytes, how many are really written; and what is said: as the
	 * system has it if *ret_result is left alone. */
	size_t (*write)(void *arg, uint64_t offset, size_t n_bytes,
			int *ret_result);
	/* Room is reserved: 0 or what is said instead. */
	int (*reserve)(void *arg, uint64_t offset);
	/* @buf was read; 0 or what is said instead. */
	int (*read)(void *arg, uint64_t offset, void *buf, size_t n_bytes);
	void *arg;
};
/* For the whole process; NULL: none. */
void io_set_faults(const struct io_faults *faults);

/* --- the engines; -ENOSYS: not in this build or not in this kernel --- */
int io_uring_engine_new(struct io **ret) MUST_CHECK;
int io_threads_engine_new(bool cached, struct io **ret) MUST_CHECK;

#endif
