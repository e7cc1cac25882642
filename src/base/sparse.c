/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reserved range of which only the start is readable, writable and paid.
 *
 * What is not ready has no access rights: a stray touch faults instead of
 * growing uncharged, strict overcommit counts only what is ready, and locking
 * all memory does not fill the reservation. No huge pages: they would charge
 * 2 MiB for a step of 16 KiB.
 */
#include "base/sparse.h"
#include "base/check.h"
#include "base/resident.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t round_up(size_t bytes)
{
	return (bytes + SPARSE_STEP_BYTES - 1) &
	       ~(size_t)(SPARSE_STEP_BYTES - 1);
}

int sparse_init(struct sparse *s, size_t reserve_bytes, struct budget *budget)
{
	size_t reserved = round_up(reserve_bytes);
	void *base;

	if (reserved < reserve_bytes || reserved == 0)
		return -ENOMEM;
	base = mmap(NULL, reserved, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	/* Fails only where the kernel has no huge pages at all. */
	madvise(base, reserved, MADV_NOHUGEPAGE);
	*s = (struct sparse){
		.base = base,
		.reserved_bytes = reserved,
		.budget = budget,
	};
	return 0;
}

void sparse_fini(struct sparse *s)
{
	if (!s->base)
		return;
	munmap(s->base, s->reserved_bytes);
	budget_give(s->budget, s->ready_bytes);
	*s = (struct sparse){0};
}

int sparse_grow(struct sparse *s, size_t bytes, enum budget_use use)
{
	size_t ready = round_up(bytes);
	size_t more;
	int r;

	if (bytes <= s->ready_bytes)
		return 0;
	if (bytes > s->reserved_bytes)
		return -ENOMEM;
	more = ready - s->ready_bytes;
	r = budget_take(s->budget, more, use);
	if (r < 0)
		return r;
	if (mprotect(s->base + s->ready_bytes, more, PROT_READ | PROT_WRITE)) {
		budget_give(s->budget, more);
		return -ENOMEM;
	}
	/* What is paid for is there: so what the process takes besides can be
	 * told from what the kernel charges it (engine_charge_process()). */
	if (resident_touch(s->base + s->ready_bytes, more) < 0) {
		budget_give(s->budget, more);
		return -ENOMEM;
	}
	s->ready_bytes = ready;
	return 0;
}

/* False when the kernel keeps the memory, as old ones do with what is locked:
 * then it is zeroed and stays ours. */
static bool give_back(char *p, size_t bytes)
{
	if (resident_drop(p, bytes))
		return true;
	memset(p, 0, bytes);
	return false;
}

void sparse_shrink(struct sparse *s, size_t bytes)
{
	size_t ready = round_up(bytes);
	size_t less;

	if (ready >= s->ready_bytes)
		return;
	less = s->ready_bytes - ready;
	if (!give_back(s->base + ready, less))
		return;
	/* Rights are for catching bugs here: failing to drop them is fine. */
	mprotect(s->base + ready, less, PROT_NONE);
	s->ready_bytes = ready;
	budget_give(s->budget, less);
}
