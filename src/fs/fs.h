/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One mount from start to end: what main() asks of the file system.
 *
 * Layer 4. Builds budget, arena, pool, sets, streams, store and tree (engine),
 * mounts, runs the workers, and takes all down again.
 */
#ifndef SRC_FS_FS_H
#define SRC_FS_FS_H

#include "codec/codec.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum fs_cache { FS_CACHE_THROUGH, FS_CACHE_WRITEBACK, FS_CACHE_NONE };

enum fs_profile { FS_PROFILE_DIRECTORY, FS_PROFILE_SWAP };

/* Of the swap profile, what is not done; else a failure of it ends the start. */
enum fs_forgo {
	FS_FORGO_MEMLOCK = 1,
	FS_FORGO_IO_FLUSHER = 2,
	FS_FORGO_OOM = 4,
	FS_FORGO_CHECKS = 8, /* what was found is said only */
};

struct fs_config {
	const char *mountpoint; /* absolute */
	const char *source;     /* fsname=; never NULL */
	uint64_t size_bytes;
	uint64_t mem_limit_bytes;
	uint64_t nr_inodes; /* 0: no limit of its own */
	mode_t mode;        /* of the root directory: 01777 by default */
	uid_t uid;
	gid_t gid;
	struct codec_params compress;
	unsigned workers; /* 0: auto */
	bool io_uring;    /* requests by it, where the kernel has that */
	enum fs_cache cache;
	const char *spill_path;         /* absolute; NULL: none */
	uint64_t spill_bytes;           /* its cap; 0: none */
	unsigned spill_high, spill_low; /* percent; 0: the default */
	bool spill_force;               /* also over what is not ours */
	bool spill_encrypt;
	enum fs_profile profile;
	unsigned forgo; /* enum fs_forgo */
	bool allow_other;
	bool noatime; /* reading changes no access time */
	bool debug;   /* every request on stderr */
	/* Generic mount options for the kernel, comma separated, as nosuid,
	 * nodev,ro,noexec...; never NULL, may be "". */
	const char *kernel_options;
};

/* What is told meanwhile, each at most once; FS_IN_USE may overtake. */
enum fs_event {
	FS_READY,  /* the mount answers requests; not on a failed start */
	FS_IN_USE, /* unmounted from view; ends with the last open file */
	FS_ENDING, /* unmounted, or given up: all memory is being freed */
};

/*
 * Mount and serve until unmounted or a signal (SIGINT, SIGTERM, SIGHUP) asks
 * to end; @tell is called from any thread. Errors are logged here with their
 * cause.
 * Returns 0 after a clean end, else -errno (EPERM, ENOENT, ENOTDIR: about the
 * mountpoint; others: the system).
 */
int fs_run(const struct fs_config *config,
	   void (*tell)(void *arg, enum fs_event event), void *arg);

#endif
