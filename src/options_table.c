/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our own options, one parser each, and the table that holds them.
 *
 * A parser changes nothing when it fails. What it says is -EINVAL or -ERANGE;
 * the sentence for people is made in one place, in options.c.
 */
#include "base/heap.h"
#include "base/page.h"
#include "base/size.h"
#include "options_int.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EIB (UINT64_C(1) << 60)
#define WORKERS_MAX 64u
/* As far as an extent's name reaches. */
#define SPILL_MOST_BYTES (UINT64_C(128) * GIB)
/* Record indexes are 32 bits and two of them mean something else. */
#define INODES_MAX UINT64_C(4294967294)

static int parse_bytes(const char *value, uint64_t whole, uint64_t min,
		       uint64_t max, uint64_t *ret_bytes)
{
	uint64_t bytes;
	int r;

	r = size_parse(value, whole, &bytes);
	if (r < 0)
		return r;
	if (bytes < min || bytes > max)
		return -ERANGE;
	*ret_bytes = bytes;
	return 0;
}

static int parse_size(struct options *o, const char *value)
{
	return parse_bytes(value, o->ram_bytes, 4 * KIB, 4 * EIB,
			   &o->size_bytes);
}

static int parse_mem_limit(struct options *o, const char *value)
{
	uint64_t bytes;
	int r;

	r = parse_bytes(value, o->ram_bytes, MIB, 16 * TIB, &bytes);
	/* More than all of it would protect nothing: it is a mistake, while
	 * size= above it is what compression is for. */
	if (r == 0 && strchr(value, '%') && bytes > o->ram_bytes)
		r = -ERANGE;
	if (r == 0)
		o->mem_limit_bytes = bytes;
	return r;
}

static int parse_nr_inodes(struct options *o, const char *value)
{
	return parse_bytes(value, 0, 0, INODES_MAX, &o->nr_inodes);
}

/* All of @value as a number of @base up to @max. */
static int parse_number(const char *value, int base, unsigned long max,
			unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	/* strtoul() would take spaces and signs, and wrap what is negative. */
	if (*value < '0' || *value > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(value, &end, base);
	if (*end != '\0')
		return -EINVAL;
	if (errno != 0 || number > max)
		return -ERANGE;
	*ret_number = number;
	return 0;
}

static int parse_mode(struct options *o, const char *value)
{
	unsigned long mode;
	int r;

	r = parse_number(value, 8, 07777, &mode);
	if (r == 0)
		o->mode = (mode_t)mode;
	return r;
}

static int parse_uid(struct options *o, const char *value)
{
	struct passwd *user;
	unsigned long id;
	int r;

	/* The last one is (uid_t)-1, which means "nobody given". */
	r = parse_number(value, 10, UINT32_MAX - 1, &id);
	if (r == 0)
		o->uid = (uid_t)id;
	if (r != -EINVAL)
		return r;
	user = getpwnam(value);
	if (!user)
		return options_fail(o, "there is no such user");
	o->uid = user->pw_uid;
	return 0;
}

static int parse_gid(struct options *o, const char *value)
{
	struct group *group;
	unsigned long id;
	int r;

	r = parse_number(value, 10, UINT32_MAX - 1, &id);
	if (r == 0)
		o->gid = (gid_t)id;
	if (r != -EINVAL)
		return r;
	group = getgrnam(value);
	if (!group)
		return options_fail(o, "there is no such group");
	o->gid = group->gr_gid;
	return 0;
}

static int parse_compress(struct options *o, const char *value)
{
	struct codec_params params = {.id = CODEC_RAW};
	const struct codec_ops *ops;
	int r;

	r = codec_parse(value, &params);
	if (r == 0)
		o->compress = params;
	if (r == -ENOENT)
		return options_fail(o, "there is no such codec");
	if (r != -ERANGE)
		return r;
	ops = codec_ops(params.id);
	if (!ops)
		return -EINVAL;
	return options_fail(o, "%s takes %d to %d", ops->name, ops->level_min,
			    ops->level_max);
}

static int parse_workers(struct options *o, const char *value)
{
	unsigned long workers = 0;
	int r;

	if (strcmp(value, "auto") != 0) {
		r = parse_number(value, 10, WORKERS_MAX, &workers);
		if (r < 0)
			return r;
		if (workers == 0)
			return -ERANGE;
	}
	o->workers = (unsigned)workers;
	o->workers_said = true;
	return 0;
}

static int parse_cache(struct options *o, const char *value)
{
	if (strcmp(value, "through") == 0)
		o->cache = FS_CACHE_THROUGH;
	else if (strcmp(value, "writeback") == 0)
		o->cache = FS_CACHE_WRITEBACK;
	else if (strcmp(value, "none") == 0)
		o->cache = FS_CACHE_NONE;
	else
		return options_fail(o, "there is no such cache mode");
	o->cache_said = true;
	return 0;
}

static int parse_profile(struct options *o, const char *value)
{
	if (strcmp(value, "directory") == 0)
		o->profile = FS_PROFILE_DIRECTORY;
	else if (strcmp(value, "swap") == 0)
		o->profile = FS_PROFILE_SWAP;
	else
		return options_fail(o, "there is no such profile");
	return 0;
}

static unsigned forgo_of(const char *name, size_t n)
{
	static const struct {
		const char *name;
		unsigned bit;
	} all[] = {
		{"memlock", FS_FORGO_MEMLOCK},
		{"io_flusher", FS_FORGO_IO_FLUSHER},
		{"oom", FS_FORGO_OOM},
		{"checks", FS_FORGO_CHECKS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strlen(all[i].name) == n && !memcmp(all[i].name, name, n))
			return all[i].bit;
	return 0;
}

static int parse_forgo(struct options *o, const char *value)
{
	unsigned forgo = 0;

	for (;;) {
		size_t n = strcspn(value, "+");
		unsigned bit = forgo_of(value, n);

		if (!bit)
			return options_fail(o, "there is no such cure");
		forgo |= bit;
		if (!value[n])
			break;
		value += n + 1;
	}
	o->forgo = forgo;
	return 0;
}

/* Absolute at once: the daemon leaves the directory it was started in. */
static int parse_spill(struct options *o, const char *value)
{
	char *path, *here = NULL;
	size_t n;

	if (*value != '/') {
		here = getcwd(NULL, 0);
		if (!here)
			return options_fail(o, "the current directory: %s",
					    strerror(errno));
	}
	n = (here ? strlen(here) : 0) + 1 + strlen(value) + 1;
	path = heap_alloc(n);
	if (path)
		snprintf(path, n, "%s%s%s", here ? here : "", here ? "/" : "",
			 value);
	free(here);
	if (!path)
		return -ENOMEM;
	heap_free(o->spill);
	o->spill = path;
	return 0;
}

static int parse_spill_size(struct options *o, const char *value)
{
	uint64_t bytes;
	int r = parse_bytes(value, 0, 0, SPILL_MOST_BYTES, &bytes);

	if (r == 0 && bytes != 0 && bytes < MIB)
		r = -ERANGE;
	if (r == 0)
		o->spill_bytes = bytes;
	return r;
}

static int parse_percent(const char *value, unsigned min, unsigned max,
			 unsigned *ret)
{
	unsigned long percent;
	int r = parse_number(value, 10, max, &percent);

	if (r == 0 && percent < min)
		r = -ERANGE;
	if (r == 0)
		*ret = (unsigned)percent;
	return r;
}

static int parse_spill_high(struct options *o, const char *value)
{
	return parse_percent(value, 2, 100, &o->spill_high);
}

static int parse_spill_low(struct options *o, const char *value)
{
	o->spill_low_said = true;
	return parse_percent(value, 1, 99, &o->spill_low);
}

static int parse_io_uring(struct options *o, const char *value UNUSED)
{
	o->io_uring = true;
	return 0;
}

static int parse_spill_force(struct options *o, const char *value UNUSED)
{
	o->spill_force = true;
	return 0;
}

static int parse_spill_encrypt(struct options *o, const char *value UNUSED)
{
	o->spill_encrypt = true;
	return 0;
}

static int parse_config(struct options *o, const char *value)
{
	return options_take_file(o, value);
}

static int parse_fsname(struct options *o, const char *value)
{
	char *name;

	if (strlen(value) > 255)
		return -ERANGE;
	name = heap_strdup(value);
	if (!name)
		return -ENOMEM;
	heap_free(o->fsname);
	o->fsname = name;
	return 0;
}

static int parse_subtype(struct options *o UNUSED, const char *value)
{
	return strcmp(value, "foldfs") == 0 ? 0 : -EINVAL;
}

static int parse_allow_other(struct options *o, const char *value UNUSED)
{
	o->allow_other = true;
	return 0;
}

const struct option_info option_table[OPTION_NR] = {
#define OPTION(name, value, right, help)                                       \
	[OPTION_##name] = {#name, value, right, help, parse_##name},
#include "options.def"
#undef OPTION
};

void options_help(FILE *out)
{
	fputs("Options of foldfs (-o NAME=VALUE,...):\n", out);
	for (unsigned i = 0; i < OPTION_NR; i++) {
		const struct option_info *info = &option_table[i];
		char head[32];

		snprintf(head, sizeof(head), "%s%s%s", info->name,
			 info->value ? "=" : "",
			 info->value ? info->value : "");
		fprintf(out, "  %-16s %s\n", head, info->help);
		if (info->right[0])
			fprintf(out, "  %-16s   (%s)\n", "", info->right);
	}
	fputs("\n", out);
	generic_help(out);
}
