/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replies to writes that wait for a moment, because swap is full. */
#include "fs/held.h"
#include "base/clock.h"
#include "fs/reply.h"
#include "fs/ring.h"

static void send_first(struct worker *w)
{
	struct held *held = w->held;
	const struct held_reply *reply = &held->reply[held->first];
	struct ring_entry *at_hand = w->entry;

	w->entry = reply->entry;
	if (reply->error)
		reply_error(w, reply->unique, reply->error);
	else
		reply_written(w, reply->unique, reply->n_bytes);
	w->entry = at_hand;
	held->first = (held->first + 1) % HELD_MOST;
	held->n--;
}

/* In order, also where a short wait follows a long one. */
static uint64_t due_after_last(const struct held *held, uint64_t due_ns)
{
	const struct held_reply *last;

	if (held->n == 0)
		return due_ns;
	last = &held->reply[(held->first + held->n - 1) % HELD_MOST];
	return due_ns > last->due_ns ? due_ns : last->due_ns;
}

void held_add(struct worker *w, uint64_t unique, uint64_t now_ns, int error,
	      uint32_t n_bytes)
{
	struct held *held = w->held;
	unsigned most = w->ring ? ring_holds(w) : HELD_MOST;
	uint64_t wait_ns = error ? HELD_FAILED_NS : HELD_SLOW_NS;

	while (held->n && held->n >= most)
		send_first(w);
	held->reply[(held->first + held->n) % HELD_MOST] = (struct held_reply){
		.unique = unique,
		.entry = w->entry,
		.due_ns = due_after_last(held, now_ns + wait_ns),
		.n_bytes = n_bytes,
		.error = error,
	};
	held->n++;
	if (most == 0)
		send_first(w);
}

void held_send_due(struct worker *w, uint64_t now_ns)
{
	while (w->held->n && w->held->reply[w->held->first].due_ns <= now_ns)
		send_first(w);
}

void held_send_all(struct worker *w)
{
	while (w->held->n)
		send_first(w);
}

int held_wait_ms(const struct worker *w, uint64_t now_ns)
{
	const struct held *held = w->held;
	uint64_t due_ns = held->reply[held->first].due_ns;

	if (held->n == 0)
		return -1;
	return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns) / NS_PER_MS) + 1;
}
