/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes one histogram from another, and reads quantiles out of the rest. */
#include "foldctl/recent.h"
#include "base/histogram.h"
#include <string.h>

static const json_t *next_row(const json_t *table, const char *op, size_t *at)
{
	while (*at < json_array_size(table)) {
		const json_t *row = json_array_get(table, (*at)++);
		const char *name = answer_text(row, "op");

		if (name && strcmp(name, op) == 0)
			return row;
	}
	return NULL;
}

static void read_buckets(const struct sample *sample, const char *op,
			 uint64_t bucket[HISTOGRAM_BUCKETS])
{
	const json_t *table = sample_table(sample, "latency_buckets"), *row;
	size_t at = 0;

	while ((row = next_row(table, op, &at)))
		bucket[histogram_bucket(answer_number(row, "le_ns"))] +=
			answer_number(row, "count");
}

/* The end of the last bucket, as far as anything ever took so long. */
static uint64_t most_of(const struct sample *to, const char *op, unsigned last)
{
	size_t at = 0;
	const json_t *row = next_row(sample_table(to, "latency"), op, &at);
	double us = json_number_value(json_object_get(row, "max_us"));
	uint64_t ever_ns = (uint64_t)(us * 1000);
	uint64_t bound_ns = histogram_bound(last);

	return row && ever_ns < bound_ns ? ever_ns : bound_ns;
}

bool recent_latency(const struct sample *from, const struct sample *to,
		    const char *op, struct recent *ret)
{
	uint64_t before[HISTOGRAM_BUCKETS] = {0};
	struct histogram_total total = {0};
	unsigned last = 0;

	if (sample_is_after(from, to))
		read_buckets(from, op, before);
	read_buckets(to, op, total.bucket);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		total.bucket[i] -= before[i] < total.bucket[i]
					   ? before[i]
					   : total.bucket[i];
		total.count += total.bucket[i];
		if (total.bucket[i])
			last = i;
	}
	if (total.count == 0)
		return false;
	total.most = most_of(to, op, last);
	*ret = (struct recent){
		.p50_us = (double)histogram_quantile(&total, 500) / 1000,
		.p99_us = (double)histogram_quantile(&total, 990) / 1000,
		.max_us = (double)total.most / 1000,
	};
	return true;
}
