/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The account of RAM: one number that takers may not push past the limit.
 *
 * Every access is relaxed: the account orders nothing but itself. used_bytes
 * changes by compare-and-swap, so that two takers never pass the limit
 * together.
 */
#include "base/budget.h"
#include "base/check.h"
#include "base/page.h"
#include <errno.h>

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void raise_peak(struct budget *b, uint64_t used)
{
	uint64_t peak = load(&b->peak_bytes);

	while (peak < used &&
	       !atomic_compare_exchange_weak_explicit(
		       &b->peak_bytes, &peak, used, memory_order_relaxed,
		       memory_order_relaxed))
		;
}

void budget_init(struct budget *b, uint64_t limit_bytes)
{
	atomic_init(&b->limit_bytes, limit_bytes);
	atomic_init(&b->used_bytes, 0);
	atomic_init(&b->peak_bytes, 0);
	atomic_init(&b->refused, 0);
	atomic_init(&b->kept_percent, 0);
}

static _Thread_local enum budget_depth dips;

enum budget_depth budget_dip(enum budget_depth depth)
{
	enum budget_depth before = dips;

	dips = depth;
	return before;
}

enum budget_depth budget_dips(void)
{
	return dips;
}

void budget_keep(struct budget *b, unsigned percent)
{
	atomic_store_explicit(&b->kept_percent, percent, memory_order_relaxed);
}

/* By parts, for the limit may be as large as a number can be. */
static uint64_t kept(const struct budget *b, uint64_t limit)
{
	return dips != BUDGET_NOT_KEPT ? 0
				       : limit / 100 * load(&b->kept_percent);
}

/* What may be used in all by takers of kind @use. */
static uint64_t ceiling(const struct budget *b, enum budget_use use)
{
	uint64_t limit = load(&b->limit_bytes), most = limit;

	if (use == BUDGET_RESERVE || dips == BUDGET_INTO_RESERVE)
		return limit;
	most -= kept(b, limit);
	return most > BUDGET_RESERVE_BYTES ? most - BUDGET_RESERVE_BYTES : 0;
}

int budget_take(struct budget *b, uint64_t bytes, enum budget_use use)
{
	uint64_t used = load(&b->used_bytes);
	uint64_t most;

	if (use == BUDGET_FORCED) {
		budget_force(b, bytes);
		return 0;
	}
	do {
		most = ceiling(b, use);
		if (used > most || bytes > most - used) {
			atomic_fetch_add_explicit(&b->refused, 1,
						  memory_order_relaxed);
			return -ENOSPC;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&b->used_bytes, &used, used + bytes, memory_order_relaxed,
		memory_order_relaxed));
	raise_peak(b, used + bytes);
	return 0;
}

void budget_force(struct budget *b, uint64_t bytes)
{
	uint64_t used = atomic_fetch_add_explicit(&b->used_bytes, bytes,
						  memory_order_relaxed);

	raise_peak(b, used + bytes);
}

void budget_give(struct budget *b, uint64_t bytes)
{
	uint64_t used = atomic_fetch_sub_explicit(&b->used_bytes, bytes,
						  memory_order_relaxed);

	invariant(used >= bytes);
}

uint64_t budget_used(const struct budget *b)
{
	return load(&b->used_bytes);
}

uint64_t budget_peak(const struct budget *b)
{
	return load(&b->peak_bytes);
}

uint64_t budget_limit(const struct budget *b)
{
	return load(&b->limit_bytes);
}

uint64_t budget_room(const struct budget *b)
{
	uint64_t most = ceiling(b, BUDGET_NORMAL);
	uint64_t used = load(&b->used_bytes);

	return most > used ? most - used : 0;
}

uint64_t budget_limit_for(const struct budget *b, uint64_t bytes)
{
	uint64_t most = load(&b->used_bytes) + bytes + BUDGET_RESERVE_BYTES;
	uint64_t limit = most / MIB * MIB;

	while (limit - kept(b, limit) < most)
		limit += MIB;
	return limit;
}

void budget_set_limit(struct budget *b, uint64_t limit_bytes)
{
	atomic_store_explicit(&b->limit_bytes, limit_bytes,
			      memory_order_relaxed);
}

void budget_reset_peak(struct budget *b)
{
	atomic_store_explicit(&b->peak_bytes, load(&b->used_bytes),
			      memory_order_relaxed);
}
