/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The account of RAM: everything that the daemon's data and tables may take,
 * against one limit (mem_limit).
 *
 * Whoever makes the kernel charge memory (touches a new page of the arena,
 * grows a derived table) takes it here first and gives it back when the
 * memory is returned. A small reserve at the end is for work that frees
 * memory (deleting must always work): only takers that ask for it get it. In
 * front of that a part may be kept for work that must not fail for want of
 * room while it can be had, as writing to swap. A thread may say that it is at
 * either work, and its BUDGET_NORMAL takes get it.
 * Lock-free; callable from anywhere.
 */
#ifndef SRC_BASE_BUDGET_H
#define SRC_BASE_BUDGET_H

#include "base/compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What only BUDGET_RESERVE takers may use: a few tables' growth steps. */
#define BUDGET_RESERVE_BYTES (UINT64_C(512) << 10)

enum budget_use {
	BUDGET_NORMAL,  /* new data: stops at limit - reserve */
	BUDGET_RESERVE, /* needed to free or finish: stops at the limit */
	BUDGET_FORCED,  /* there already (attach): never refused */
};

/* How far the BUDGET_NORMAL takes of a thread go. */
enum budget_depth {
	BUDGET_NOT_KEPT,     /* at first: stop at what is kept */
	BUDGET_INTO_KEPT,    /* stop at the reserve */
	BUDGET_INTO_RESERVE, /* stop at the limit */
};

struct budget {
	_Atomic uint64_t limit_bytes;
	_Atomic uint64_t used_bytes;
	_Atomic uint64_t peak_bytes;
	_Atomic uint64_t refused;      /* takes that did not fit */
	_Atomic uint64_t kept_percent; /* of the limit, for who dips */
};

void budget_init(struct budget *b, uint64_t limit_bytes);

/* Take @bytes; -ENOSPC when they do not fit, and nothing is taken. */
int budget_take(struct budget *b, uint64_t bytes,
		enum budget_use use) MUST_CHECK;
/* Take without asking: for memory that is there already (start, attach). */
void budget_force(struct budget *b, uint64_t bytes);
void budget_give(struct budget *b, uint64_t bytes);

/* Keep so much of the limit, whatever it becomes; 0, at first, is nothing. */
void budget_keep(struct budget *b, unsigned percent);
/* How far the calling thread's takes go from now on; gives what it was before,
 * to be put back. */
enum budget_depth budget_dip(enum budget_depth depth);
enum budget_depth budget_dips(void);

uint64_t budget_used(const struct budget *b);
uint64_t budget_peak(const struct budget *b);
uint64_t budget_limit(const struct budget *b);
/* Bytes a BUDGET_NORMAL taker could still get. */
uint64_t budget_room(const struct budget *b);
/* The lowest limit, in whole MiB, of which a BUDGET_NORMAL taker could still get
 * so much. */
uint64_t budget_limit_for(const struct budget *b, uint64_t bytes);
/* Below what is used is allowed: nothing new fits until enough is freed. */
void budget_set_limit(struct budget *b, uint64_t limit_bytes);
void budget_reset_peak(struct budget *b);

#endif
