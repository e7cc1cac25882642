/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A backing file beside a plain list of what should be in it. */
#include "backing_rig.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --- numbers and bytes --- */

static uint64_t mix(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t rig_random(struct backing_rig *rig)
{
	return mix(&rig->random);
}

uint32_t rig_below(struct backing_rig *rig, uint32_t n)
{
	return (uint32_t)(rig_random(rig) % n);
}

uint16_t rig_length(struct backing_rig *rig)
{
	switch (rig_below(rig, 16)) {
	case 0:
		return (uint16_t)(1 + rig_below(rig, 64));
	case 1:
		return PAGE_BYTES;
	default:
		return (uint16_t)(600 + rig_below(rig, 1470));
	}
}

void rig_bytes(const struct rig_item *item, void *buf)
{
	uint64_t state = item->seed;
	char *to = buf;

	for (size_t n = 0; n < item->n_bytes; n += sizeof(uint64_t)) {
		uint64_t word = mix(&state);
		size_t rest = item->n_bytes - n;

		memcpy(to + n, &word,
		       rest < sizeof(word) ? rest : sizeof(word));
	}
}

/* --- what the backing file calls --- */

static void hold(void *arg, unsigned kind)
{
	struct backing_rig *rig = arg;

	rig->held[kind]++;
}

static void drop(void *arg, unsigned kind)
{
	struct backing_rig *rig = arg;

	assert_true(rig->held[kind]-- > 0);
}

static struct extent_owner owner_of(uint32_t i, const struct rig_item *item)
{
	return (struct extent_owner){i, ~i, (uint16_t)item->seed};
}

static void done(void *arg, struct extent extent,
		 const struct extent_owner *owner, uint64_t cookie, int err)
{
	struct backing_rig *rig = arg;
	struct rig_item *item = &rig->item[cookie];
	struct extent_owner wanted = owner_of((uint32_t)cookie, item);

	assert_int_equal(item->state, RIG_PUT);
	assert_int_equal(item->extent.value, extent.value);
	assert_int_equal(owner->file, wanted.file);
	assert_int_equal(owner->page, wanted.page);
	assert_int_equal(owner->generation, wanted.generation);
	rig->done++;
	rig->failed += err != 0;
	if (err)
		rig->last_error = err;
	item->state = err ? RIG_NONE : RIG_LIVE;
	if (!err && rig->drop_done)
		rig_free(rig, (uint32_t)cookie);
}

static const struct backing_ops rig_ops = {
	.hold = hold,
	.drop = drop,
	.done = done,
};

/* --- up and down --- */

#define RAM_ENOUGH (256 * MIB)

static const char *disk_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/tmp";
}

const char *rig_dir(void)
{
	struct statvfs st;

	if (!access("/dev/shm", W_OK) && !statvfs("/dev/shm", &st) &&
	    (uint64_t)st.f_bavail * st.f_frsize >= RAM_ENOUGH)
		return "/dev/shm";
	return disk_dir();
}

void rig_temp(const char *dir, char *path, size_t path_bytes)
{
	int n = snprintf(path, path_bytes, "%s/foldfs-backing-XXXXXX", dir);
	int fd;

	assert_true(n > 0 && (size_t)n < path_bytes);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

void backing_rig_up(struct backing_rig *rig, enum io_kind io, bool encrypt,
		    uint64_t most_bytes)
{
	memset(rig, 0, sizeof(*rig));
	rig->random = 4711;
	rig->io = io;
	rig_temp(io == IO_CACHED ? disk_dir() : rig_dir(), rig->path,
		 sizeof(rig->path));
	rig->config = (struct backing_config){
		.path = rig->path,
		.most_bytes = most_bytes,
		.encrypt = encrypt,
	};
	budget_init(&rig->budget, GIB);
	assert_int_equal(arena_new(MIB, &rig->budget, &rig->arena), 0);
	assert_int_equal(backing_new(rig->arena, &rig_ops, rig, &rig->backing),
			 0);
	assert_int_equal(backing_open_kind(rig->backing, &rig->config, io,
					   rig->why, sizeof(rig->why)),
			 0);
}

void backing_rig_down(struct backing_rig *rig)
{
	struct stat st;

	rig_settle(rig);
	for (uint32_t i = 0; i < RIG_ITEMS; i++)
		if (rig->item[i].state == RIG_LIVE)
			rig_free(rig, i);
	assert_int_equal(backing_check(rig->backing), 0);
	if (backing_is_open(rig->backing))
		assert_int_equal(backing_close(rig->backing), 0);
	assert_int_equal(stat(rig->path, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (unsigned k = 0; k < BACKING_KINDS; k++)
		assert_int_equal(rig->held[k], 0);
	assert_int_equal(table_used(rig->arena, TABLE_SEGMENTS), 0);
	backing_free_all(rig->backing);
	arena_free(rig->arena);
	assert_int_equal(budget_used(&rig->budget), 0);
	unlink(rig->path);
}

void backing_rig_reattach(struct backing_rig *rig)
{
	int meta = dup(arena_meta_fd(rig->arena));
	int pool = dup(arena_pool_fd(rig->arena));
	int fd = dup(backing_fd(rig->backing));

	assert_true(meta >= 0 && pool >= 0 && fd >= 0);
	backing_free_all(rig->backing);
	arena_free(rig->arena);
	assert_int_equal(budget_used(&rig->budget), 0);
	for (unsigned k = 0; k < BACKING_KINDS; k++)
		rig->held[k] = 0;
	assert_int_equal(arena_attach(meta, pool, &rig->budget, &rig->arena),
			 0);
	close(meta);
	close(pool);
	assert_int_equal(backing_new(rig->arena, &rig_ops, rig, &rig->backing),
			 0);
	assert_int_equal(backing_open_again(rig->backing, fd), 0);
	backing_scan_begin(rig->backing);
	for (uint32_t i = 0; i < RIG_ITEMS; i++) {
		struct rig_item *item = &rig->item[i];

		if (item->state == RIG_LIVE)
			assert_int_equal(
				backing_mark(rig->backing, item->extent), 0);
		else
			item->state = RIG_NONE;
	}
	backing_scan_end(rig->backing);
}

/* --- one item --- */

int rig_put(struct backing_rig *rig, uint32_t i, size_t n_bytes, uint8_t kind)
{
	struct rig_item *item = &rig->item[i];
	struct rig_item new = {
		.state = RIG_PUT,
		.seed = (uint32_t)rig_random(rig),
		.n_bytes = (uint16_t)n_bytes,
		.tag = (uint16_t)rig_random(rig),
		.kind = kind,
	};
	struct extent_owner owner = owner_of(i, &new);
	char bytes[PAGE_BYTES];
	int r;

	assert_int_equal(item->state, RIG_NONE);
	rig_bytes(&new, bytes);
	r = backing_put(rig->backing, &owner, new.tag, kind, bytes, n_bytes, i,
			&new.extent);
	if (!r)
		*item = new;
	return r;
}

void rig_put_wait(struct backing_rig *rig, uint32_t i, size_t n_bytes,
		  uint8_t kind)
{
	int r;

	while ((r = rig_put(rig, i, n_bytes, kind)) == -EAGAIN)
		backing_reap(rig->backing, true);
	assert_int_equal(r, 0);
}

void rig_settle(struct backing_rig *rig)
{
	backing_flush(rig->backing);
	while (backing_reap(rig->backing, true))
		;
}

void rig_free(struct backing_rig *rig, uint32_t i)
{
	struct rig_item *item = &rig->item[i];

	assert_int_equal(item->state, RIG_LIVE);
	item->state = RIG_NONE;
	backing_free(rig->backing, item->extent);
}

int rig_read_ref(struct backing_rig *rig, const struct rig_item *item,
		 const struct extent_ref *ref, uint32_t i)
{
	static _Thread_local char buf[BACKING_READ_BYTES]
		__attribute__((aligned(PAGE_BYTES)));
	struct extent_owner owner = owner_of(i, item);
	struct extent_view view;
	char bytes[PAGE_BYTES];
	int r = backing_read(rig->backing, ref, buf, &view);

	if (r < 0)
		return r;
	rig_bytes(item, bytes);
	assert_int_equal(view.n_bytes, item->n_bytes);
	assert_int_equal(view.tag, item->tag);
	assert_int_equal(view.owner.file, owner.file);
	assert_int_equal(view.owner.page, owner.page);
	assert_int_equal(view.owner.generation, owner.generation);
	assert_memory_equal(view.data, bytes, item->n_bytes);
	return 0;
}

int rig_read(struct backing_rig *rig, uint32_t i)
{
	const struct rig_item *item = &rig->item[i];
	struct extent_ref ref = backing_ref(rig->backing, item->extent);

	return rig_read_ref(rig, item, &ref, i);
}

/* --- the whole --- */

struct backing_stats rig_stats(struct backing_rig *rig)
{
	struct backing_stats stats;

	backing_stats(rig->backing, &stats);
	return stats;
}

void rig_check(struct backing_rig *rig)
{
	struct backing_stats stats = rig_stats(rig);
	uint64_t extents = 0, bytes = 0;

	for (uint32_t i = 0; i < RIG_ITEMS; i++) {
		const struct rig_item *item = &rig->item[i];

		if (item->state == RIG_NONE)
			continue;
		extents++;
		bytes += backing_extent_bytes(item->extent);
		assert_true(rig->held[item->kind] > 0);
		if (item->state == RIG_LIVE)
			assert_int_equal(rig_read(rig, i), 0);
	}
	assert_int_equal(stats.extents, extents);
	assert_int_equal(stats.live_bytes, bytes);
	assert_int_equal(stats.payload_bytes, bytes - extents * BACKING_UNIT);
	assert_int_equal(backing_check(rig->backing), 0);
}
