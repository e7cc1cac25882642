/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options every file system is given by mount(8): which go on to the
 * kernel, which are for other programs, and which cannot be had here.
 */
#include "options_int.h"
#include <errno.h>
#include <string.h>

/* A line of --help. */
#define HELP_WIDTH 79

enum generic_bit {
	GENERIC_RO = 1,
	GENERIC_NOSUID = 2,
	GENERIC_NODEV = 4,
	GENERIC_NOEXEC = 8,
	GENERIC_SYNC = 16,
	GENERIC_DIRSYNC = 32,
	GENERIC_NOATIME = 64,
};

/* A bit, the word that sets it and the word that clears it. */
static const struct {
	unsigned bit;
	const char *on, *off;
} pairs[] = {
	/* clang-format off */
	{GENERIC_RO,      "ro",      "rw"},
	{GENERIC_NOSUID,  "nosuid",  "suid"},
	{GENERIC_NODEV,   "nodev",   "dev"},
	{GENERIC_NOEXEC,  "noexec",  "exec"},
	{GENERIC_SYNC,    "sync",    "async"},
	{GENERIC_DIRSYNC, "dirsync", NULL},
	{GENERIC_NOATIME, "noatime", "atime"},
	/* clang-format on */
};

/*
 * Said to mount(8), systemd or nobody: mount(8) takes most of these away
 * before it calls us, but not all of them and not in every version. "defaults"
 * is what nobody means as "with set-id programs", so it changes nothing.
 */
static const char *const passed_over[] = {
	"defaults",
	"auto",
	"noauto",
	"user",
	"nouser",
	"users",
	"owner",
	"group",
	"nofail",
	"_netdev",
	"relatime",
	"diratime",
	"nodiratime",
	"nolazytime",
	"silent",
	"loud",
	"default_permissions",
};

static const struct {
	const char *name, *why;
} not_had[] = {
	{"allow_root",
	 "foldfs serves the user who mounts, or all users (allow_other)"},
	{"remount", "a mount's limits change by its keys, as in setfattr -n "
		    "user.foldfs.size -v 2G MOUNT/.foldfs"},
	{"strictatime", "access times are kept as relatime promises"},
	{"lazytime", "times are kept in memory anyway: leave it out"},
	{"auto_unmount", "the daemon unmounts whenever it ends: leave it out"},
	{"nonempty", "any directory may be mounted on: leave it out"},
};

unsigned generic_default(void)
{
	return GENERIC_NOSUID | GENERIC_NODEV;
}

unsigned generic_of(const char *on)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (strcmp(on, pairs[i].on) == 0)
			return pairs[i].bit;
	return 0;
}

static bool is_passed_over(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed_over); i++)
		if (strcmp(name, passed_over[i]) == 0)
			return true;
	return false;
}

/* Their values are other programs' business: x-systemd.requires=..., */
static bool is_comment(const char *name)
{
	return strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0 ||
	       strcmp(name, "comment") == 0;
}

int generic_take(unsigned *generic, const char *name, bool has_value,
		 const char **ret_why)
{
	if (is_comment(name))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(not_had); i++)
		if (strcmp(name, not_had[i].name) == 0) {
			*ret_why = not_had[i].why;
			return -EOPNOTSUPP;
		}
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		bool on = strcmp(name, pairs[i].on) == 0;

		if (!on && (!pairs[i].off || strcmp(name, pairs[i].off) != 0))
			continue;
		if (has_value)
			goto value;
		*generic &= ~pairs[i].bit;
		if (on)
			*generic |= pairs[i].bit;
		return 0;
	}
	if (!is_passed_over(name))
		return -ENOENT;
	if (!has_value)
		return 0;
value:
	*ret_why = "it takes no value";
	return -EOPNOTSUPP;
}

const char *generic_name(unsigned i)
{
	if (i < ARRAY_SIZE(pairs))
		return pairs[i].on;
	i -= ARRAY_SIZE(pairs);
	if (i < ARRAY_SIZE(passed_over))
		return passed_over[i];
	return NULL;
}

const char *options_kernel(const struct options *o,
			   char text[OPTIONS_KERNEL_MAX])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const char *word =
			o->generic & pairs[i].bit ? pairs[i].on : pairs[i].off;
		/* What is the kernel's default need not be said, but suid
		 * and dev must: the mount program's default is the other. */
		bool said = o->generic & pairs[i].bit || pairs[i].bit <= 4;

		if (said && word)
			n += (size_t)snprintf(text + n, OPTIONS_KERNEL_MAX - n,
					      "%s%s", n ? "," : "", word);
	}
	return text;
}

void generic_help(FILE *out)
{
	size_t at = 1;

	fputs("Generic options:\n ", out);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		fprintf(out, "%s %s%s%s", i ? "," : "", pairs[i].on,
			pairs[i].off ? "|" : "",
			pairs[i].off ? pairs[i].off : "");
	fputs(";\n  default rw,nosuid,nodev. Passed over:\n ", out);
	for (size_t i = 0; i < ARRAY_SIZE(passed_over); i++) {
		size_t n = strlen(" ,") + strlen(passed_over[i]);

		if (at + n > HELP_WIDTH) {
			fputs("\n ", out);
			at = 1;
		}
		fprintf(out, " %s,", passed_over[i]);
		at += n;
	}
	fputs(" x-*, comment=\n", out);
}

bool options_noatime(const struct options *o)
{
	return o->generic & GENERIC_NOATIME;
}
