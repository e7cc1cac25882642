/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A daemon that cut us off for being idle is called again, once. */
#include "foldctl/sample.h"
#include "base/clock.h"
#include "foldctl/foreign.h"
#include "foldctl/term.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MAX_S 86400

int sampler_open(struct sampler *sampler, struct context *ctx, const char *word)
{
	int code;

	*sampler = (struct sampler){.ctx = ctx};
	code = context_mount(ctx, word, &sampler->mount);
	if (code != EXIT_DONE)
		return code;
	return context_open(ctx, sampler->mount, &sampler->client);
}

void sampler_close(struct sampler *sampler)
{
	client_close(&sampler->client);
}

static int ask_again(struct sampler *sampler, json_t **ret_answer)
{
	struct client fresh;
	int r = client_open(&fresh, sampler->mount, sampler->ctx->timeout_ms);

	if (r < 0)
		return r;
	client_close(&sampler->client);
	sampler->client = fresh;
	return client_ask(&sampler->client, "stat", ret_answer);
}

int sampler_next(struct sampler *sampler, struct sample *ret_sample)
{
	json_t *answer, *stats;
	int r = client_ask(&sampler->client, "stat", &answer);

	if (r == -ECONNRESET || r == -EPIPE)
		r = ask_again(sampler, &answer);
	if (r == 0) {
		stats = json_incref(json_object_get(answer, "stats"));
		json_decref(answer);
		if (!json_is_object(stats)) {
			json_decref(stats);
			r = -EPROTO;
		}
	}
	sampler->error = r;
	if (r == 0)
		*ret_sample = (struct sample){.ns = clock_ns(), .stats = stats};
	return r;
}

int sampler_failed(const struct sampler *sampler)
{
	return context_no_answer(sampler->mount, sampler->error,
				 &sampler->client);
}

void sample_fini(struct sample *sample)
{
	json_decref(sample->stats);
	*sample = (struct sample){0};
}

/* --- numbers --- */

uint64_t sample_number(const struct sample *sample, const char *key)
{
	return answer_number(sample->stats, key);
}

const json_t *sample_table(const struct sample *sample, const char *key)
{
	const json_t *table = json_object_get(sample->stats, key);

	return json_is_array(table) ? table : NULL;
}

double sample_ratio(const struct sample *sample)
{
	uint64_t taken = sample_number(sample, "mem_used_total") +
			 sample_number(sample, "spilled_bytes");

	return taken ? (double)sample_number(sample, "orig_data_size") /
			       (double)taken
		     : 0;
}

/* Counters start again with another daemon. */
bool sample_is_after(const struct sample *from, const struct sample *to)
{
	return from->stats &&
	       sample_number(from, "pid") == sample_number(to, "pid");
}

double sample_seconds(const struct sample *from, const struct sample *to)
{
	uint64_t uptime = sample_number(to, "uptime");

	if (sample_is_after(from, to))
		return (double)(to->ns - from->ns) / (double)NS_PER_S;
	return uptime ? (double)uptime : 1;
}

static double rate(double seconds, uint64_t before, uint64_t after)
{
	return after > before && seconds > 0
		       ? (double)(after - before) / seconds
		       : 0;
}

double sample_rate(const struct sample *from, const struct sample *to,
		   const char *key)
{
	return rate(sample_seconds(from, to),
		    sample_is_after(from, to) ? sample_number(from, key) : 0,
		    sample_number(to, key));
}

static const json_t *row_like(const json_t *table, const char *id,
			      const json_t *row)
{
	const json_t *wanted = json_object_get(row, id);

	for (size_t i = 0; i < json_array_size(table); i++) {
		const json_t *other = json_array_get(table, i);

		if (json_equal(json_object_get(other, id), wanted))
			return other;
	}
	return NULL;
}

double sample_row_rate(const struct sample *from, const struct sample *to,
		       const char *key, const char *id, const json_t *row,
		       const char *field)
{
	const json_t *before = NULL;

	if (sample_is_after(from, to))
		before = row_like(sample_table(from, key), id, row);
	return rate(sample_seconds(from, to), answer_number(before, field),
		    answer_number(row, field));
}

/* --- as text --- */

const char *rate_text(double value, char text[RATE_TEXT_MAX])
{
	static const char unit[] = {'\0', 'k', 'M', 'G', 'T'};
	unsigned i = 0;

	/* What would be rounded up to four digits is of the next unit. */
	while (value >= 999.5 && i + 1 < sizeof(unit)) {
		value /= 1000;
		i++;
	}
	snprintf(text, RATE_TEXT_MAX,
		 value > 0 && value < 99.95 ? "%.1f%.1s" : "%.0f%.1s", value,
		 i ? (char[]){unit[i], '\0'} : "");
	return text;
}

const char *time_text(double us, char text[RATE_TEXT_MAX])
{
	if (us < 999.5)
		snprintf(text, RATE_TEXT_MAX, "%.0f us", us);
	else if (us < 999950)
		snprintf(text, RATE_TEXT_MAX, "%.1f ms", us / 1000);
	else
		snprintf(text, RATE_TEXT_MAX, "%.1f s", us / 1e6);
	return text;
}

bool interval_parse(const char *text, uint64_t *ret_ns)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.01) ||
	    seconds > INTERVAL_MAX_S)
		return false;
	*ret_ns = (uint64_t)(seconds * NS_PER_S);
	return true;
}

/* --- JSON --- */

static json_t *rates_json(const struct sample *from, const struct sample *to)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f}", "reads",
			 sample_rate(from, to, "num_reads"), "writes",
			 sample_rate(from, to, "num_writes"), "bytes_read",
			 sample_rate(from, to, "bytes_read"), "bytes_written",
			 sample_rate(from, to, "bytes_written"), "requests",
			 sample_rate(from, to, "num_requests"));
}

static json_t *workers_json(const struct sample *from, const struct sample *to)
{
	static const char *const fields[] = {"requests", "bytes_in",
					     "bytes_out"};
	const json_t *slots = sample_table(to, "slots");
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(slots); i++) {
		const json_t *row = json_array_get(slots, i);
		json_t *worker = json_object();

		json_object_set(worker, "slot", json_object_get(row, "slot"));
		for (unsigned f = 0; f < 3; f++)
			json_object_set_new(worker, fields[f],
					    json_real(sample_row_rate(
						    from, to, "slots", "slot",
						    row, fields[f])));
		json_array_append_new(list, worker);
	}
	return list;
}

int sample_print_json(const struct mount *mount, const struct sample *from,
		      const struct sample *to)
{
	json_t *object = json_pack("{s:o, s:f, s:o, s:o, s:O}", "mountpoint",
				   foreign_json(mount->point), "seconds",
				   sample_seconds(from, to), "per_second",
				   rates_json(from, to), "workers_per_second",
				   workers_json(from, to), "stats", to->stats);

	if (!object)
		die("%s", strerror(ENOMEM));
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putchar('\n');
	json_decref(object);
	return term_flush();
}
