/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two memfds: making, attaching, mapping, and the words in between.
 *
 *	meta:  superblock | span words | table | table | ...
 *	pool:  bytes of objects
 *
 * Both are sealed at their size: whoever else gets a descriptor (the keeper)
 * cannot pull the ground from under the mapping.
 */
#include "arena/arena.h"
#include "arena/inside.h"
#include "base/heap.h"
#include "base/page.h"
#include "base/resident.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

static uint64_t round_up(uint64_t n, uint64_t step)
{
	return (n + step - 1) / step * step;
}

/* All offsets follow from the pool's size. */
static void lay_out(struct arena *arena, uint64_t pool_bytes)
{
	uint64_t at;

	arena->pool_bytes = round_up(pool_bytes ? pool_bytes : 1, SPAN_BYTES);
	at = SUPERBLOCK_BYTES + arena->pool_bytes / SPAN_BYTES * 4;
	at = round_up(at, PAGE_BYTES);
	arena->head_most = at;
	for (unsigned i = 0; i < TABLE_NR; i++) {
		at = round_up(at, 64 * KIB);
		arena->table_offset[i] = at;
		at += table_bytes(i);
	}
	arena->meta_bytes = round_up(at, 64 * KIB);
}

static int map_one(int fd, uint64_t bytes, char **ret_base)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	/*
	 * A huge page would charge 2 MiB for 4 KiB. And a core dump would read,
	 * and so fill, every hole of the reservation.
	 */
	madvise(base, bytes, MADV_NOHUGEPAGE);
	madvise(base, bytes, MADV_DONTDUMP);
	*ret_base = base;
	return 0;
}

static int map(struct arena *arena)
{
	int r = map_one(arena->meta_fd, arena->meta_bytes, &arena->meta);

	if (r == 0)
		r = map_one(arena->pool_fd, arena->pool_bytes, &arena->pool);
	if (r < 0)
		return r;
	arena->super = (struct superblock *)(void *)arena->meta;
	arena->span_words =
		(_Atomic uint32_t *)(void *)(arena->meta + SUPERBLOCK_BYTES);
	for (unsigned i = 0; i < TABLE_NR; i++)
		arena->view.records[i] = arena->meta + arena->table_offset[i];
	return 0;
}

static int make_memfd(const char *name, uint64_t bytes, int *ret_fd)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* An arena object without files or maps. */
static int make_object(struct budget *budget, struct arena **ret_arena)
{
	struct arena *arena = heap_aligned(64, sizeof(*arena));
	int r = 0;

	if (!arena)
		return -ENOMEM;
	memset(arena, 0, sizeof(*arena));
	arena->meta_fd = -1;
	arena->pool_fd = -1;
	arena->budget = budget;
	for (unsigned i = 0; i < TABLE_NR; i++)
		lock_init(&arena->table[i].lock, LOCK_TABLE);
	for (unsigned i = 0; i < TABLE_NR && r == 0; i++)
		r = table_init(arena, i);
	if (r < 0) {
		arena_free(arena);
		return r;
	}
	*ret_arena = arena;
	return 0;
}

static void write_superblock(struct arena *arena)
{
	struct superblock *super = arena->super;

	super->version = ARENA_VERSION;
	super->table_nr = TABLE_NR;
	super->meta_bytes = arena->meta_bytes;
	super->pool_bytes = arena->pool_bytes;
	for (unsigned i = 0; i < TABLE_NR; i++) {
		super->record_bytes[i] = (uint32_t)table_record_bytes(i);
		super->capacity[i] = table_capacity(arena, i);
		atomic_init(&super->end[i], 1);
	}
	/* Last: with it the file is an arena. */
	atomic_thread_fence(memory_order_release);
	super->magic = ARENA_MAGIC;
}

static uint64_t head_for(const struct arena *arena, uint64_t spans)
{
	uint64_t bytes = round_up(SUPERBLOCK_BYTES + spans * sizeof(uint32_t),
				  PAGE_BYTES);

	return bytes < arena->head_most ? bytes : arena->head_most;
}

/* The memory now: a fault later could only be a SIGBUS. */
static int fill_head(struct arena *arena, uint64_t from, uint64_t to)
{
	while (fallocate(arena->meta_fd, 0, (off_t)from, (off_t)(to - from)) <
	       0)
		if (errno != EINTR)
			return -ENOMEM;
	return resident_fill(arena->meta + from, to - from);
}

int arena_grow_span_words(struct arena *arena, uint64_t spans,
			  enum budget_use use)
{
	uint64_t from = arena->head_bytes, to = head_for(arena, spans);
	int r;

	if (to <= from)
		return 0;
	r = budget_take(arena->budget, to - from, use);
	if (r < 0)
		return r;
	r = fill_head(arena, from, to);
	if (r < 0)
		budget_give(arena->budget, to - from);
	else
		arena->head_bytes = to;
	return r;
}

void arena_charge_span_words(struct arena *arena, uint64_t spans)
{
	uint64_t to = head_for(arena, spans);

	if (to <= arena->head_bytes)
		return;
	budget_force(arena->budget, to - arena->head_bytes);
	arena->head_bytes = to;
}

static int fill_new(struct arena *arena)
{
	int r;

	r = make_memfd("foldfs-meta", arena->meta_bytes, &arena->meta_fd);
	if (r == 0)
		r = make_memfd("foldfs-pool", arena->pool_bytes,
			       &arena->pool_fd);
	if (r == 0)
		r = map(arena);
	/* The superblock. */
	if (r == 0)
		r = arena_grow_span_words(arena, 0, BUDGET_NORMAL);
	if (r == 0)
		write_superblock(arena);
	return r;
}

int arena_new(uint64_t pool_bytes, struct budget *budget,
	      struct arena **ret_arena)
{
	struct arena *arena;
	int r;

	if (pool_bytes > FILE_MAX_BYTES - SPAN_BYTES)
		return -ENOMEM;
	r = make_object(budget, &arena);
	if (r < 0)
		return r;
	lay_out(arena, pool_bytes);
	r = fill_new(arena);
	if (r < 0) {
		arena_free(arena);
		return r;
	}
	*ret_arena = arena;
	return 0;
}

/* Whether @super, read from a file of @meta_bytes, is one we can work on. */
static bool super_is_ours(const struct superblock *super,
			  const struct arena *arena, uint64_t meta_bytes,
			  uint64_t pool_bytes)
{
	if (super->meta_bytes != arena->meta_bytes ||
	    super->meta_bytes != meta_bytes || super->pool_bytes != pool_bytes)
		return false;
	for (unsigned i = 0; i < TABLE_NR; i++) {
		uint32_t end = atomic_load_explicit(&super->end[i],
						    memory_order_relaxed);

		if (super->record_bytes[i] != table_record_bytes(i) ||
		    super->capacity[i] != table_capacity(arena, i) || end < 1 ||
		    end > super->capacity[i])
			return false;
	}
	return true;
}

static int read_layout(struct arena *arena)
{
	struct superblock super;
	struct stat meta, pool;
	ssize_t n;

	if (fstat(arena->meta_fd, &meta) < 0 ||
	    fstat(arena->pool_fd, &pool) < 0)
		return -EINVAL;
	n = pread(arena->meta_fd, &super, sizeof(super), 0);
	if (n != (ssize_t)sizeof(super) || super.magic != ARENA_MAGIC ||
	    super.version != ARENA_VERSION || super.table_nr != TABLE_NR)
		return -EINVAL;
	if (super.pool_bytes == 0 || super.pool_bytes % SPAN_BYTES != 0 ||
	    super.pool_bytes > FILE_MAX_BYTES - SPAN_BYTES)
		return -EINVAL;
	lay_out(arena, super.pool_bytes);
	if (!super_is_ours(&super, arena, (uint64_t)meta.st_size,
			   (uint64_t)pool.st_size))
		return -EINVAL;
	return 0;
}

static int dup_fd(int fd, int *ret_fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return errno == EBADF ? -EINVAL : -EMFILE;
	*ret_fd = copy;
	return 0;
}

static int fill_attached(struct arena *arena, int meta_fd, int pool_fd)
{
	int r = dup_fd(meta_fd, &arena->meta_fd);

	if (r == 0)
		r = dup_fd(pool_fd, &arena->pool_fd);
	if (r == 0)
		r = read_layout(arena);
	if (r == 0)
		r = map(arena);
	if (r < 0)
		return r;
	arena_charge_span_words(arena, 0);
	for (unsigned i = 0; i < TABLE_NR && r == 0; i++) {
		r = table_ready(arena, i);
		if (r == 0)
			table_scan_begin(arena, i);
	}
	return r;
}

int arena_attach(int meta_fd, int pool_fd, struct budget *budget,
		 struct arena **ret_arena)
{
	struct arena *arena;
	int r = make_object(budget, &arena);

	if (r < 0)
		return r;
	r = fill_attached(arena, meta_fd, pool_fd);
	if (r < 0) {
		arena_free(arena);
		return r;
	}
	*ret_arena = arena;
	return 0;
}

/* Accepts a half-built arena. */
void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (unsigned i = 0; i < TABLE_NR; i++) {
		table_fini(arena, i);
		lock_fini(&arena->table[i].lock);
	}
	budget_give(arena->budget, arena->head_bytes);
	if (arena->meta)
		munmap(arena->meta, arena->meta_bytes);
	if (arena->pool)
		munmap(arena->pool, arena->pool_bytes);
	if (arena->meta_fd >= 0)
		close(arena->meta_fd);
	if (arena->pool_fd >= 0)
		close(arena->pool_fd);
	heap_free(arena);
}

int arena_meta_fd(const struct arena *arena)
{
	return arena->meta_fd;
}

int arena_pool_fd(const struct arena *arena)
{
	return arena->pool_fd;
}

struct budget *arena_budget(const struct arena *arena)
{
	return arena->budget;
}

_Atomic uint64_t *arena_word(struct arena *arena, unsigned word)
{
	invariant(word < ARENA_WORD_NR);
	return &arena->super->word[word];
}

char *arena_pool(const struct arena *arena)
{
	return arena->pool;
}

uint64_t arena_pool_bytes(const struct arena *arena)
{
	return arena->pool_bytes;
}

_Atomic uint32_t *arena_span_words(const struct arena *arena)
{
	return arena->span_words;
}

bool arena_punch(int fd, uint64_t offset, uint64_t bytes)
{
	while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)offset, (off_t)bytes) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

void arena_pool_punch(struct arena *arena, uint64_t offset, uint64_t bytes)
{
	debug_invariant(offset % PAGE_BYTES == 0 && bytes % PAGE_BYTES == 0);
	invariant(offset + bytes <= arena->pool_bytes);
	/* The promise is zeroes; the memory is only what it is for. */
	if (bytes != 0 && !arena_punch(arena->pool_fd, offset, bytes))
		memset(arena->pool + offset, 0, bytes);
}

uint64_t arena_charged_bytes(const struct arena *arena)
{
	struct stat meta, pool;

	if (fstat(arena->meta_fd, &meta) < 0 ||
	    fstat(arena->pool_fd, &pool) < 0)
		return 0;
	return ((uint64_t)meta.st_blocks + (uint64_t)pool.st_blocks) * 512;
}
