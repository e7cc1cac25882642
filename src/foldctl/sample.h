/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All keys of a mount at one moment, and what happened between two moments. */
#ifndef SRC_FOLDCTL_SAMPLE_H
#define SRC_FOLDCTL_SAMPLE_H

#include "base/compiler.h"
#include "foldctl/context.h"
#include <jansson.h>
#include <stdint.h>

struct sample {
	uint64_t ns;   /* clock_ns() */
	json_t *stats; /* NULL: none */
};

/* Who is asked, again and again. */
struct sampler {
	struct context *ctx;
	const struct mount *mount;
	struct client client;
	int error; /* of the last sampler_next() that failed */
};

/* The mount that @word names, its daemon connected. An exit code. */
int sampler_open(struct sampler *sampler, struct context *ctx,
		 const char *word) MUST_CHECK;
void sampler_close(struct sampler *sampler);
/* A negative errno of client_ask(); nothing has been said then. */
int sampler_next(struct sampler *sampler, struct sample *ret_sample) MUST_CHECK;
/* Say that and give the exit code. */
int sampler_failed(const struct sampler *sampler);

void sample_fini(struct sample *sample);

/* Whether there is a @from, of the same daemon: else nothing was before @to. */
bool sample_is_after(const struct sample *from, const struct sample *to);
/* Seconds between the two; since the mount when @from is none, or is of
 * another daemon. */
double sample_seconds(const struct sample *from, const struct sample *to);
/* How fast counter @key rises, per second. */
double sample_rate(const struct sample *from, const struct sample *to,
		   const char *key);
/* The same for @field in the row of table @key whose @id is that of @row,
 * a row of @to's. */
double sample_row_rate(const struct sample *from, const struct sample *to,
		       const char *key, const char *id, const json_t *row,
		       const char *field);

/* A number of it; 0: it is not there. */
uint64_t sample_number(const struct sample *sample, const char *key);
/* A table of it; NULL: it is not there, or no table. */
const json_t *sample_table(const struct sample *sample, const char *key);
/* Bytes held / RAM and backing file taken; 0: nothing is taken. */
double sample_ratio(const struct sample *sample);

/* One line of JSON on standard output: the rates, and all keys of @to. 0 or a
 * negative errno. */
int sample_print_json(const struct mount *mount, const struct sample *from,
		      const struct sample *to) MUST_CHECK;

#define RATE_TEXT_MAX 24
/* "0", "3.4", "512", "12.3k", "4.5M". Returns @text. */
const char *rate_text(double rate, char text[RATE_TEXT_MAX]);
/* Microseconds: "85 us", "3.4 ms", "12.0 s". */
const char *time_text(double us, char text[RATE_TEXT_MAX]);

/* Seconds as people write intervals: 1, 0.5. False: none. */
bool interval_parse(const char *text, uint64_t *ret_ns);

#endif
