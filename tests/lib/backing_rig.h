/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the backing file's tests stand on: an arena, a file of its own and a
 * plain list of what should be in it.
 */
#ifndef TESTS_LIB_BACKING_RIG_H
#define TESTS_LIB_BACKING_RIG_H

#include "backing/inside.h"
#include "base/budget.h"

#define RIG_ITEMS 8192u

enum rig_state {
	RIG_NONE, /* nothing: never put, freed, or failed */
	RIG_PUT,  /* on its way */
	RIG_LIVE,
};

/* Its bytes follow from @seed. */
struct rig_item {
	enum rig_state state;
	struct extent extent;
	uint32_t seed;
	uint16_t n_bytes;
	uint16_t tag;
	uint8_t kind;
};

struct backing_rig {
	struct budget budget;
	struct arena *arena;
	struct backing *backing;
	struct backing_config config;
	enum io_kind io;
	char path[256];
	char why[256];
	_Atomic int held[BACKING_KINDS];
	unsigned done, failed;
	int last_error;
	bool drop_done; /* what has been written is not kept */
	uint64_t random;
	struct rig_item item[RIG_ITEMS];
};

/*
 * Where files of tests go: to RAM where there is enough of it, for a disk that
 * others keep busy takes a second for what these tests do a thousand times.
 */
const char *rig_dir(void);
/* A new empty file; the end of a path that is 256 bytes long at most. */
void rig_temp(const char *dir, char *path, size_t path_bytes);

/* With a new file, open; one for IO_CACHED is on the disk. Ends the test on any error. */
void backing_rig_up(struct backing_rig *rig, enum io_kind io, bool encrypt,
		    uint64_t most_bytes);
/* Everything is freed; the file, the records and the budget must be as they
 * were in the beginning. */
void backing_rig_down(struct backing_rig *rig);
/* All private state goes and comes back from arena and file. */
void backing_rig_reattach(struct backing_rig *rig);

uint64_t rig_random(struct backing_rig *rig);
uint32_t rig_below(struct backing_rig *rig, uint32_t n);
/* As compressed pages are: mean 1400 bytes. */
uint16_t rig_length(struct backing_rig *rig);

/* Put item @i with new bytes; 0 or what backing_put() said. */
int rig_put(struct backing_rig *rig, uint32_t i, size_t n_bytes, uint8_t kind);
/* The same; reaps while buffers are in flight; ends the test on an error. */
void rig_put_wait(struct backing_rig *rig, uint32_t i, size_t n_bytes,
		  uint8_t kind);
/* Flush and reap until nothing is in flight. */
void rig_settle(struct backing_rig *rig);
void rig_free(struct backing_rig *rig, uint32_t i);
/* 0 and right bytes, or what backing_read() said; wrong bytes end the test. */
int rig_read(struct backing_rig *rig, uint32_t i);
/* The same for an item and a reference that may be old. */
int rig_read_ref(struct backing_rig *rig, const struct rig_item *item,
		 const struct extent_ref *ref, uint32_t i);
/* All live items are right, and all sums agree with the list. */
void rig_check(struct backing_rig *rig);
struct backing_stats rig_stats(struct backing_rig *rig);

/* What item @i's bytes are. */
void rig_bytes(const struct rig_item *item, void *buf);

#endif
