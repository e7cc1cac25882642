/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics as text, in the two grammars that there are: OpenMetrics, and
 * Prometheus' older one, which is all that node_exporter's files may have.
 *
 * A family is begun once and all its samples follow: that of every mount. The
 * older grammar names a counter's family as its samples, has no infos, no
 * units and no end.
 */
#ifndef SRC_FOLDCTL_EXPOSITION_H
#define SRC_FOLDCTL_EXPOSITION_H

#include "foldctl/mounts.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_INFO,
	METRIC_HISTOGRAM
};

/* A family: `foldfs_` stands before @name. */
struct metric {
	const char *name; /* ends with the unit, has no _total */
	enum metric_type type;
	const char *unit; /* "bytes"; NULL: none */
	const char *help;
};

struct exposition {
	FILE *out;
	bool prometheus; /* the older grammar */
	const struct metric *metric;
};

void exposition_family(struct exposition *e, const struct metric *metric);
/* A sample of that family and @mount; labels follow, then the value. @part of a
 * histogram: "_bucket", "_count", "_sum"; "" else. */
void exposition_sample(struct exposition *e, const struct mount *mount,
		       const char *part);
void exposition_label(struct exposition *e, const char *name,
		      const char *value);
void exposition_number(struct exposition *e, uint64_t value);
void exposition_fraction(struct exposition *e, double value);
void exposition_end(struct exposition *e);

#endif
