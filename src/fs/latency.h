/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long requests take, by what they ask for, kept per worker slot.
 *
 * A request's time runs from having read it to having replied: neither the
 * kernel's queue nor the way back to the program is in it. A request that
 * waits for room (fs/room.h) serves others meanwhile, each of which has its
 * own time. A READ that is parked (fs/parking.h) counts until
 * it is answered, what the later thread answers (a knob) until it is handed on.
 */
#ifndef SRC_FS_LATENCY_H
#define SRC_FS_LATENCY_H

#include "base/histogram.h"
#include "fs/state.h"

enum latency_op {
	LATENCY_READ,
	LATENCY_WRITE,
	LATENCY_LOOKUP,
	LATENCY_FORGET,
	LATENCY_GETATTR,
	LATENCY_SETATTR,
	LATENCY_CREATE,
	LATENCY_UNLINK,
	LATENCY_RENAME,
	LATENCY_READDIR,
	LATENCY_XATTR,
	LATENCY_ALLOCATE,
	LATENCY_COPY,
	LATENCY_OTHER,
	LATENCY_NR
};

/* A row each slot, written by its worker alone; never reset, so that no total
 * goes backwards when workers come and go. */
struct latency {
	struct histogram row[CREW_MAX][LATENCY_NR];
};

enum latency_op latency_op(uint32_t opcode);

static inline void latency_add(struct latency *latency, unsigned slot,
			       uint32_t opcode, uint64_t ns)
{
	histogram_add(&latency->row[slot][latency_op(opcode)], ns);
}

/* The keys latency and latency_buckets, of one reading. -ENOMEM. */
int latency_values(const struct fs *fs, struct ctl_values *values) MUST_CHECK;

#endif
