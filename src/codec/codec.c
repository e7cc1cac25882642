/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry of codecs, and codec parameters as people write them. */
#include "codec/codec.h"
#include "codec/ops.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct codec_ops *const registry[CODEC_NR] = {
	[CODEC_RAW] = &codec_raw_ops,
	[CODEC_LZ4] = &codec_lz4_ops,
	[CODEC_LZ4HC] = &codec_lz4hc_ops,
	[CODEC_ZSTD] = &codec_zstd_ops,
};

const struct codec_ops *codec_ops(enum codec_id id)
{
	return (unsigned)id < CODEC_NR ? registry[id] : NULL;
}

bool codec_params_valid(const struct codec_params *params)
{
	const struct codec_ops *ops = codec_ops(params->id);

	return ops && params->level >= ops->level_min &&
	       params->level <= ops->level_max;
}

bool codec_params_equal(const struct codec_params *a,
			const struct codec_params *b)
{
	return a->id == b->id && a->level == b->level;
}

static int find_by_name(const char *name, size_t n, enum codec_id *ret_id)
{
	for (unsigned i = 0; i < CODEC_NR; i++) {
		if (!registry[i] || strlen(registry[i]->name) != n ||
		    memcmp(registry[i]->name, name, n) != 0)
			continue;
		*ret_id = (enum codec_id)i;
		return 0;
	}
	return -ENOENT;
}

/* An optional minus and digits, nothing else: strtol() alone takes more. */
static int parse_level(const char *text, long *ret_level)
{
	const char *digits = text + (*text == '-');
	size_t n = strspn(digits, "0123456789");

	if (n == 0 || digits[n] != '\0')
		return -EINVAL;
	*ret_level = strtol(text, NULL, 10);
	return 0;
}

int codec_parse(const char *text, struct codec_params *ret_params)
{
	size_t n = strcspn(text, ":");
	const struct codec_ops *ops;
	struct codec_params params;
	long level;
	int r;

	r = find_by_name(text, n, &params.id);
	if (r < 0)
		return r;
	ops = registry[params.id];
	params.level = ops->level_default;
	if (text[n] == ':') {
		if (ops->level_min == ops->level_max)
			return -EINVAL;
		r = parse_level(text + n + 1, &level);
		if (r < 0)
			return r;
		/* As zstd has it, where it lies between levels. */
		if (level == 0 && ops->level_min < 0)
			level = ops->level_default;
		if (level < ops->level_min || level > ops->level_max) {
			ret_params->id = params.id;
			return -ERANGE;
		}
		params.level = (int)level;
	}
	*ret_params = params;
	return 0;
}

const char *codec_format(const struct codec_params *params,
			 char text[CODEC_TEXT_MAX])
{
	const struct codec_ops *ops = codec_ops(params->id);

	if (!ops)
		snprintf(text, CODEC_TEXT_MAX, "?");
	else if (ops->level_min == ops->level_max)
		snprintf(text, CODEC_TEXT_MAX, "%s", ops->name);
	else
		snprintf(text, CODEC_TEXT_MAX, "%s:%d", ops->name,
			 params->level);
	return text;
}
