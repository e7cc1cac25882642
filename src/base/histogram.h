/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histograms with a bucket for each power of two, for durations in ns.
 *
 * Bucket i counts values above 2^(i-1) and up to 2^i; the first also 0, the
 * last all that is longer. One thread writes a histogram, with relaxed
 * atomics and no read-modify-write; anybody may read it: then single words
 * are right, and what is derived from a reading agrees with itself.
 */
#ifndef SRC_BASE_HISTOGRAM_H
#define SRC_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/* 2^36 ns are 69 seconds. With sum and most it is five cache lines. */
#define HISTOGRAM_BUCKETS 38

struct histogram {
	_Atomic uint64_t bucket[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum;
	_Atomic uint64_t most;
};

static inline unsigned histogram_bucket(uint64_t value)
{
	unsigned i = value <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(value - 1);

	return i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that belongs to bucket @i. */
static inline uint64_t histogram_bound(unsigned i)
{
	return UINT64_C(1) << i;
}

static inline void histogram_raise(_Atomic uint64_t *word, uint64_t by)
{
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, old + by, memory_order_relaxed);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	histogram_raise(&h->bucket[histogram_bucket(value)], 1);
	histogram_raise(&h->sum, value);
	if (value > atomic_load_explicit(&h->most, memory_order_relaxed))
		atomic_store_explicit(&h->most, value, memory_order_relaxed);
}

/* Several histograms read into one; begins as zeroes. */
struct histogram_total {
	uint64_t bucket[HISTOGRAM_BUCKETS];
	uint64_t count; /* of all buckets */
	uint64_t sum;
	uint64_t most;
};
void histogram_total_add(struct histogram_total *total,
			 const struct histogram *h);

/*
 * The value that @permille of the values are not above, as far as the buckets
 * tell: its bucket is right, within it the values are taken to lie evenly.
 * Never above `most`; 0 of nothing.
 */
uint64_t histogram_quantile(const struct histogram_total *total,
			    unsigned permille);

#endif
