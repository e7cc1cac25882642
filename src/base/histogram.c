/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Adding up histograms and reading quantiles out of the sum. */
#include "base/histogram.h"

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

void histogram_total_add(struct histogram_total *total,
			 const struct histogram *h)
{
	uint64_t most = load(&h->most);

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = load(&h->bucket[i]);

		total->bucket[i] += n;
		total->count += n;
	}
	total->sum += load(&h->sum);
	if (most > total->most)
		total->most = most;
}

/* The value of rank @rank (from 1) among the @n of bucket @i. */
static uint64_t within(unsigned i, uint64_t rank, uint64_t n)
{
	uint64_t low = i ? histogram_bound(i - 1) : 0;
	double part = (double)rank / (double)n;

	return low + (uint64_t)(part * (double)(histogram_bound(i) - low));
}

uint64_t histogram_quantile(const struct histogram_total *total,
			    unsigned permille)
{
	/* Rounded up, and without count * 1000, which might not fit. */
	uint64_t rank = total->count / 1000 * permille +
			(total->count % 1000 * permille + 999) / 1000;
	uint64_t value;

	if (rank == 0)
		rank = 1;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (rank <= total->bucket[i]) {
			value = within(i, rank, total->bucket[i]);
			return value < total->most ? value : total->most;
		}
		rank -= total->bucket[i];
	}
	return total->most;
}
