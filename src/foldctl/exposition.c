/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metrics as text: families, samples, labels and what must be escaped. */
#include "foldctl/exposition.h"
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static const char *type_name(const struct exposition *e)
{
	switch (e->metric->type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_GAUGE:
		break;
	case METRIC_INFO:
		return e->prometheus ? "gauge" : "info";
	case METRIC_HISTOGRAM:
		return "histogram";
	}
	return "gauge";
}

/* What a sample's name has behind its family's. */
static const char *suffix(const struct metric *metric)
{
	switch (metric->type) {
	case METRIC_COUNTER:
		return "_total";
	case METRIC_INFO:
		return "_info";
	case METRIC_GAUGE:
	case METRIC_HISTOGRAM:
		break;
	}
	return "";
}

static void put_meta(const struct exposition *e, const char *what,
		     const char *value)
{
	fprintf(e->out, "# %s foldfs_%s%s %s\n", what, e->metric->name,
		e->prometheus ? suffix(e->metric) : "", value);
}

void exposition_family(struct exposition *e, const struct metric *metric)
{
	e->metric = metric;
	put_meta(e, "HELP", metric->help);
	put_meta(e, "TYPE", type_name(e));
	if (metric->unit && !e->prometheus)
		put_meta(e, "UNIT", metric->unit);
}

/* Labels are UTF-8; a path may be anything, and then only ASCII of it stays. */
static void put_escaped(FILE *out, const char *value)
{
	json_t *text = json_string(value);

	for (const char *s = value; *s; s++) {
		if (*s == '\n')
			fputs("\\n", out);
		else if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s >= 0x80 && !text)
			fputc('?', out);
		else
			fputc(*s, out);
	}
	json_decref(text);
}

void exposition_sample(struct exposition *e, const struct mount *mount,
		       const char *part)
{
	fprintf(e->out, "foldfs_%s%s%s{mount=\"", e->metric->name,
		suffix(e->metric), part);
	put_escaped(e->out, mount->point);
	fprintf(e->out, "\",id=\"%u\"", mount->id);
}

void exposition_label(struct exposition *e, const char *name, const char *value)
{
	fprintf(e->out, ",%s=\"", name);
	put_escaped(e->out, value);
	fputc('"', e->out);
}

void exposition_number(struct exposition *e, uint64_t value)
{
	fprintf(e->out, "} %" PRIu64 "\n", value);
}

void exposition_fraction(struct exposition *e, double value)
{
	fprintf(e->out, "} %.12g\n", value);
}

void exposition_end(struct exposition *e)
{
	if (!e->prometheus)
		fputs("# EOF\n", e->out);
}
