/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grammar of option lists: cutting them up, finding the option, and the
 * one place where what is wrong is put into words.
 */
#include "options.h"
#include "base/heap.h"
#include "base/near.h"
#include "options_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Per cent below spill_high, as between the defaults. */
#define SPILL_LOW_GAP 15u

void options_init(struct options *o, uint64_t ram_bytes, bool privileged)
{
	*o = (struct options){
		.ram_bytes = ram_bytes,
		.size_bytes = ram_bytes / 2,
		.mem_limit_bytes = ram_bytes / 4,
		.mode = 01777,
		.uid = geteuid(),
		.gid = getegid(),
		.compress = {.id = CODEC_LZ4, .level = 1},
		.cache = FS_CACHE_THROUGH,
		.spill_high = 95,
		.spill_low = 80,
		.profile = FS_PROFILE_DIRECTORY,
		.allow_other = privileged,
		.generic = generic_default(),
	};
}

void options_fini(struct options *o)
{
	heap_free(o->fsname);
	heap_free(o->spill);
	o->fsname = NULL;
	o->spill = NULL;
}

int options_fail(struct options *o, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(o->error, sizeof(o->error), fmt, args);
	va_end(args);
	return -EINVAL;
}

static int fail_unknown(struct options *o, const char *name)
{
	struct near near;

	near_init(&near, name);
	for (unsigned i = 0; i < OPTION_NR; i++)
		near_try(&near, option_table[i].name);
	for (unsigned i = 0; generic_name(i); i++)
		near_try(&near, generic_name(i));
	if (near.best)
		return options_fail(o,
				    "unknown option \"%.80s\"; did you mean "
				    "\"%s\"?",
				    name, near.best);
	return options_fail(o, "unknown option \"%.80s\"", name);
}

/* Name, value, what is wrong with it, and what would be right. */
static int fail_value(struct options *o, const struct option_info *info,
		      const char *value, const char *what)
{
	char why[OPTIONS_ERROR_MAX];

	snprintf(why, sizeof(why), "%s", o->error[0] ? o->error : what);
	return options_fail(o, "option \"%s=%.80s\": %s; right is %s",
			    info->name, value, why, info->right);
}

static int take_own(struct options *o, const struct option_info *info,
		    const char *value)
{
	int r;

	if (!info->value && value)
		return options_fail(o, "option \"%s=%.80s\": it takes no value",
				    info->name, value);
	if (info->value && (!value || !*value))
		return options_fail(o, "option \"%s\": it needs a value: %s",
				    info->name, info->right);
	o->error[0] = '\0';
	r = info->parse(o, value);
	/* What is wrong in a config file is said by file and line already. */
	if (r == 0 || r == -ENOMEM || info == &option_table[OPTION_config])
		return r;
	return fail_value(o, info, value,
			  r == -ERANGE ? "out of range" : "malformed");
}

/* @item is one option without escapes; it is cut at its = sign. */
static int take_item(struct options *o, char *item)
{
	char *value = strchr(item, '=');
	const char *why = NULL;
	int r;

	if (value)
		*value++ = '\0';
	for (unsigned i = 0; i < OPTION_NR; i++)
		if (strcmp(item, option_table[i].name) == 0)
			return take_own(o, &option_table[i], value);
	r = generic_take(&o->generic, item, value, &why);
	/* Not what is known and cannot be had: a remount passed over would
	 * mount a second file system over the live one. */
	if (r == 0 || (r == -ENOENT && o->sloppy))
		return 0;
	if (r == -EOPNOTSUPP)
		return options_fail(o, "option \"%s\": %s", item, why);
	return fail_unknown(o, item);
}

static bool is_octal(const char *p)
{
	for (int i = 0; i < 3; i++)
		if (p[i] < '0' || p[i] > '7')
			return false;
	return p[0] <= '3';
}

/*
 * Copy the first item of @list to @item, unescaped; gives where the next one
 * starts, or NULL behind the last. \054 is a comma too, as libfuse has it.
 */
static const char *cut_item(const char *list, char *item)
{
	const char *p = list;

	for (; *p && *p != ','; p++) {
		if (*p == '\\' && is_octal(p + 1)) {
			*item++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 |
					 (p[3] - '0'));
			p += 3;
		} else {
			if (*p == '\\' && p[1])
				p++;
			*item++ = *p;
		}
	}
	*item = '\0';
	return *p ? p + 1 : NULL;
}

int options_take(struct options *o, const char *list)
{
	char *item AUTO(heap_autofree) = heap_alloc(strlen(list) + 1);
	int r;

	if (!item)
		return -ENOMEM;
	while (list) {
		list = cut_item(list, item);
		if (!*item)
			continue;
		r = take_item(o, item);
		if (r < 0)
			return r;
	}
	return 0;
}

/* All of a regular file, NUL-terminated. */
static int read_file(struct options *o, const char *path, char **ret_text)
{
	char *text AUTO(heap_autofree) = NULL;
	struct stat st;
	size_t n = 0;
	ssize_t got;
	int fd;

	/* Not to wait for a writer if it is a pipe by mistake. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return options_fail(o, "config %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return options_fail(o, "config %s: not a regular file", path);
	}
	text = heap_alloc(OPTIONS_FILE_MAX_BYTES + 2);
	if (!text) {
		close(fd);
		return -ENOMEM;
	}
	while ((got = read(fd, text + n, OPTIONS_FILE_MAX_BYTES + 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	if (got < 0)
		return options_fail(o, "config %s: cannot be read", path);
	if (n > OPTIONS_FILE_MAX_BYTES)
		return options_fail(o, "config %s: longer than 1 MiB", path);
	text[n] = '\0';
	if (strlen(text) != n)
		return options_fail(o, "config %s: not a text file", path);
	*ret_text = text;
	text = NULL;
	return 0;
}

/* Without white space at its ends and without comment. */
static char *trim(char *line)
{
	char *end;

	line += strspn(line, " \t");
	if (*line == '#')
		*line = '\0';
	for (char *p = line; (p = strchr(p, '#')); p++)
		if (p[-1] == ' ' || p[-1] == '\t') {
			*p = '\0';
			break;
		}
	end = line + strlen(line);
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return line;
}

/* "size = 1G" is what people write in a file: no blanks around the first =. */
static void close_up(char *line)
{
	char *equals = strchr(line, '='), *from, *to;

	if (!equals)
		return;
	from = equals + 1 + strspn(equals + 1, " \t");
	for (to = equals; to > line && (to[-1] == ' ' || to[-1] == '\t');)
		to--;
	*to++ = '=';
	memmove(to, from, strlen(from) + 1);
}

static int take_lines(struct options *o, const char *path, char *text)
{
	char why[OPTIONS_ERROR_MAX];
	unsigned number = 1;

	for (char *line = text, *next; line; line = next, number++) {
		int r;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line = trim(line);
		close_up(line);
		r = options_take(o, line);
		if (r == -EINVAL) {
			snprintf(why, sizeof(why), "%s", o->error);
			return options_fail(o, "config %s:%u: %s", path, number,
					    why);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int options_take_file(struct options *o, const char *path)
{
	char *text AUTO(heap_autofree) = NULL;
	int r;

	if (o->depth > 0)
		return options_fail(o,
				    "option \"config=%.80s\": a config file "
				    "cannot name another",
				    path);
	r = read_file(o, path, &text);
	if (r < 0)
		return r;
	o->depth++;
	r = take_lines(o, path, text);
	o->depth--;
	return r;
}

/* What a swap file needs: every page comes and goes by itself, at once, and
 * no thread has to be made while memory is short. */
static int settle_swap(struct options *o)
{
	if (o->cache_said && o->cache != FS_CACHE_NONE)
		return options_fail(o, "option \"profile=swap\": it is with "
				       "cache=none only, and \"cache\" says "
				       "something else");
	if (o->workers_said && o->workers == 0)
		return options_fail(o,
				    "option \"profile=swap\": \"workers=auto\" "
				    "would make threads while memory is "
				    "short; say a number");
	if (o->generic & generic_of("ro"))
		return options_fail(o,
				    "option \"profile=swap\": not with \"ro\"");
	o->cache = FS_CACHE_NONE;
	return 0;
}

/* What nobody gave is no reason to refuse what somebody did. */
static void settle_spill_low(struct options *o)
{
	if (o->spill_low_said || o->spill_low < o->spill_high)
		return;
	o->spill_low = o->spill_high > SPILL_LOW_GAP
			       ? o->spill_high - SPILL_LOW_GAP
			       : 1;
}

int options_check(struct options *o)
{
	settle_spill_low(o);
	if (o->spill_low >= o->spill_high)
		return options_fail(o,
				    "option \"spill_low=%u\": it must be below "
				    "spill_high=%u",
				    o->spill_low, o->spill_high);
	if (o->profile == FS_PROFILE_SWAP)
		return settle_swap(o);
	if (o->forgo)
		return options_fail(o, "option \"forgo\": only profile=swap "
				       "has something to forgo");
	return 0;
}
