/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mount options as people write them, turned into what fs_run() takes.
 *
 * One grammar for -o, fstab and config files: NAME or NAME=VALUE, separated
 * by commas; a backslash takes the next character as it is. Our own options
 * are in options.def; the generic ones of mount(8) in options_generic.c.
 * Unknown options are refused by name. Layer 5; no state but the struct.
 */
#ifndef SRC_OPTIONS_H
#define SRC_OPTIONS_H

#include "base/compiler.h"
#include "fs/fs.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_ERROR_MAX 1024
#define OPTIONS_KERNEL_MAX 128
/* A config file longer than this is a mistake. */
#define OPTIONS_FILE_MAX_BYTES (1u << 20)

struct options {
	uint64_t ram_bytes; /* what percentages are of */
	uint64_t size_bytes;
	uint64_t mem_limit_bytes;
	uint64_t nr_inodes; /* 0: no limit of its own */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct codec_params compress;
	unsigned workers; /* 0: auto */
	enum fs_cache cache;
	char *spill;                    /* absolute; NULL: none given */
	uint64_t spill_bytes;           /* 0: no cap */
	unsigned spill_high, spill_low; /* percent */
	bool spill_force, spill_encrypt;
	bool io_uring;
	enum fs_profile profile;
	unsigned forgo;    /* enum fs_forgo */
	bool workers_said; /* and not left at their defaults */
	bool cache_said;
	bool spill_low_said;
	bool allow_other;
	bool sloppy;      /* unknown options are passed over */
	unsigned generic; /* bits of options_generic.c */
	unsigned depth;   /* config files being read */
	char *fsname;     /* NULL: none given */
	char error[OPTIONS_ERROR_MAX];
};

/* The defaults on a machine with @ram_bytes; @privileged: mounted by root. */
void options_init(struct options *o, uint64_t ram_bytes, bool privileged);
void options_fini(struct options *o);

/*
 * Take one list; a later option wins over an earlier one. On failure
 * o->error is one line that names the option, its value and what would be
 * right. -EINVAL (the option), -ENOMEM.
 */
int options_take(struct options *o, const char *list) MUST_CHECK;
/* The same from a file: one list a line, # begins a comment. */
int options_take_file(struct options *o, const char *path) MUST_CHECK;
/* After all have been taken: whether they go together; a profile sets what
 * nobody said. -EINVAL. */
int options_check(struct options *o) MUST_CHECK;

/* noatime is the daemon's to keep, too. */
bool options_noatime(const struct options *o);

/* What the kernel is to know: "rw,nosuid,nodev,noexec". */
const char *options_kernel(const struct options *o,
			   char text[OPTIONS_KERNEL_MAX]);

/* The option lists of --help. */
void options_help(FILE *out);

#endif
