/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replies to writes that wait for a moment, because swap is full.
 *
 * Told at once that there is no room, the kernel comes with the next page at
 * once, tens of thousands a second, and takes the CPU from who could free some.
 * So a write that fails hears of it late, and one that takes of what is kept
 * for the last is answered a little later: whoever swaps slows down. It is the
 * reply that waits, not the worker: reads are served meanwhile.
 *
 * A ring in each worker, for a reply leaves by the descriptor that its request
 * came from; only the worker's thread touches it. It has room for the queue of
 * a loop device; when it is full the oldest goes early.
 */
#ifndef SRC_FS_HELD_H
#define SRC_FS_HELD_H

#include <stdint.h>

#define HELD_MOST 128u
#define HELD_SLOW_NS UINT64_C(2000000)
#define HELD_FAILED_NS UINT64_C(50000000)

struct ring_entry;
struct worker;

struct held_reply {
	uint64_t unique;
	struct ring_entry *entry; /* as the worker's; its own while it waits */
	uint64_t due_ns;          /* never before the one's before it */
	uint32_t n_bytes;
	int error; /* 0 or -errno */
};

struct held {
	unsigned first, n;
	struct held_reply reply[HELD_MOST];
};

/* The reply to a WRITE: @error, or 0 and @n_bytes were taken. */
void held_add(struct worker *w, uint64_t unique, uint64_t now_ns, int error,
	      uint32_t n_bytes);
/* Those that are due. */
void held_send_due(struct worker *w, uint64_t now_ns);
/* All, for the worker leaves. */
void held_send_all(struct worker *w);
/* How long it may sleep, as epoll_wait() wants it; -1: none is held. */
int held_wait_ms(const struct worker *w, uint64_t now_ns);

#endif
