/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one mount is made of, and the worker that carries out a request: shared
 * by the files of this folder and by nobody else.
 */
#ifndef SRC_FS_STATE_H
#define SRC_FS_STATE_H

#include "base/lock.h"
#include "base/tally.h"
#include "crew/crew.h"
#include "ctl/ctl.h"
#include "fs/engine.h"
#include "fs/held.h"
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdatomic.h>

/* The most bytes of one READ or WRITE: 256 pages, the kernel's own limit. */
#define IO_MAX_BYTES (1u << 20)

/*
 * We are the only source of change and the kernel knows of every one, so what
 * it has been told stays true: it may keep names and attributes for long.
 */
#define KEEP_SECONDS 86400.0

/* The hidden file's node: no record has this index. */
#define CONTROL_NODE UINT64_C(0xffffffff)

struct fs;
struct latency;
struct later;
struct parking;
struct pause;
struct ring;
struct ring_entry;
struct rings;
struct spiller;
struct tidy;
struct reaper;
struct autoscale;

/* What the raw request said that libfuse has no way to pass on. */
enum request_flag {
	REQUEST_KILL_PRIV = 1, /* set-id bits shall go with this change */
	REQUEST_NAMELESS = 2,  /* a CREATE without a name: O_TMPFILE */
	REQUEST_KILL_SGID = 4, /* an ACL by somebody outside the group */
	REQUEST_INIT = 8,
};

/* Who works on a request: a slot of the crew, or a background thread. */
struct worker {
	struct fs *fs;
	unsigned slot; /* also its row of the tallies */
	int fd;        /* where its requests come from and replies go */
	bool cloned;   /* fd is its own clone and kept for the slot */
	int epoll_fd;
	uint64_t charged_bytes;  /* for stream and buffers; fs->charge_lock */
	uint64_t promised_bytes; /* while it comes up; fs->charge_lock */
	_Atomic clockid_t cpu_clock; /* of its thread; 0: it has none */
	bool was_up;                 /* once or now; fs->charge_lock */
	char *buffers; /* one piece; NULL while the slot is down */
	char *in;      /* a request; its payload is page-aligned */
	char *out;     /* IO_MAX_BYTES for a reply's data: over the payload */
	struct ring *ring;        /* its own; NULL: requests come by fd alone */
	struct ring_entry *entry; /* where the request at hand is; NULL: in */
	bool helped;              /* with a shared request, just now */
	unsigned flags;          /* enum request_flag, of the request at hand */
	unsigned waits_for_room; /* requests inside requests: fs/room.h */
	uint64_t start_ns;       /* of the request at hand */
	struct parking *parking; /* its thread's; NULL: there is none */
	unsigned parking_tries;  /* to have one */
	uint64_t parking_bytes;  /* charged for it; fs->charge_lock */
	_Atomic unsigned parked; /* how many wait in it */
	uint64_t unseen_bytes;   /* written since the spiller was woken */
	uint64_t loan_bytes;     /* paid for their buffers; 0: free_loan */
	struct held *held;       /* its own thread's */
	uint64_t large_ns;       /* its last large request; 0: none since */
	bool lends;              /* to itself: fs/room.h; fs->charge_lock */
};

/* Columns of the tallies. */
enum count {
	COUNT_REQUESTS,
	COUNT_READS,
	COUNT_WRITES,
	COUNT_FAILED_READS,
	COUNT_FAILED_WRITES,
	COUNT_BYTES_READ,
	COUNT_BYTES_WRITTEN,
	COUNT_PARKED,
	COUNT_NR
};

struct fs {
	const struct fs_config *config;
	struct engine engine;
	struct tally *tally;
	struct latency *latency;
	struct fuse_session *se;
	int fuse_fd;
	unsigned mount_id; /* fs/mount_id.h */
	struct crew *crew;
	struct worker worker[CREW_MAX];
	/* Apart, for of slots that never serve nothing of this is touched. */
	struct held held[CREW_MAX];
	struct rings *rings;     /* NULL: there are none */
	struct lock charge_lock; /* what slots are charged for; leaf */
	struct later *later;     /* what must not run in a worker */
	struct later *slow;      /* and may take minutes */
	struct pause *pause;     /* for checks of all state */
	struct tidy *tidy;
	struct reaper *reaper; /* NULL: discards free by themselves */
	struct spiller *spiller;
	struct autoscale *autoscale;
	struct ctl ctl;
	void (*tell)(void *arg, enum fs_event event);
	void *tell_arg;
	uint64_t started_ns;
	struct timespec started; /* the hidden file's times */
	uid_t owner;             /* who mounted: may turn the knobs */
	uint64_t init_flags;     /* what the kernel offered in INIT */
	int ready_fd;            /* eventfd: look at `answers` */
	_Atomic bool answers;    /* INIT has been answered */
	_Atomic bool detached;   /* the mount was taken away by us */
	_Atomic bool free_loan;  /* buffers lent that nobody paid for */
	_Atomic int error;       /* why a worker gave up; 0: none */
};

/* The worker that the calling thread is. */
extern _Thread_local struct worker *worker_now;

static inline void count(struct worker *w, enum count column, uint64_t n)
{
	tally_add(w->fs->tally, w->slot, column, n);
}

/* The same of one slot. */
static inline uint64_t count_of(const struct fs *fs, unsigned slot,
				enum count column)
{
	return atomic_load_explicit(&fs->tally->row[slot].column[column],
				    memory_order_relaxed);
}

#endif
