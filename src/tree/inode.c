/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inodes: finding them by node id, their birth, their end and their stat.
 *
 * Life of a record:
 *
 *	free     -> unborn   inode_alloc(): mode is 0, nobody finds it
 *	unborn   -> live     change_commit(): the mode is stored
 *	live     -> dead     inode_kill_locked(): no name, no lookup
 *	dead     -> free     inode_bury(); unborn ones go the same way
 */
#include "base/clock.h"
#include "tree/inside.h"

/* What tmpfs says an entry weighs in a directory's size. */
#define ENTRY_WEIGHT 20
/* What stdio takes for its buffer at most: each is a request, and with a page it
 * would be twice as many. */
#define GOOD_IO_BYTES 8192

uint64_t inode_node(const struct tree *t, uint32_t ix)
{
	uint64_t generation = atomic_load_explicit(&inode_at(t, ix)->generation,
						   memory_order_relaxed);

	return ix | generation << 32;
}

int inode_find(const struct tree *t, uint64_t node, uint32_t *ret_ix)
{
	uint32_t ix = node_ix(node);

	if (ix == RECORD_NONE || ix >= table_end(t->arena, TABLE_INODES))
		return -ESTALE;
	if (inode_mode(inode_at(t, ix)) == 0 || inode_node(t, ix) != node)
		return -ESTALE;
	*ret_ix = ix;
	return 0;
}

int dir_find(const struct tree *t, uint64_t node, uint32_t *ret_ix)
{
	uint32_t ix;
	int r = inode_find(t, node, &ix);

	if (r < 0)
		return r;
	if (!inode_is_dir(t, ix))
		return -ENOTDIR;
	if (atomic_load_explicit(&inode_state(t, ix)->nlink,
				 memory_order_relaxed) == 0)
		return -ENOENT;
	*ret_ix = ix;
	return 0;
}

bool inode_type_is_known(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

int64_t inode_now(void)
{
	struct timespec ts = clock_wall();

	return ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
}

/* Reserve one of nr_inodes. */
static int count_inode(struct tree *t)
{
	uint64_t most = tree_nr_inodes(t);

	if (atomic_fetch_add(&t->inodes, 1) < most)
		return 0;
	atomic_fetch_sub(&t->inodes, 1);
	return -ENOSPC;
}

static int take_state(struct tree *t, uint32_t ix)
{
	int r;

	lock_take(&t->inodes_lock);
	r = column_take(&t->states, ix, BUDGET_NORMAL);
	lock_drop(&t->inodes_lock);
	return r == -ENOMEM ? -ENOSPC : r;
}

static void give_state(struct tree *t, uint32_t ix)
{
	lock_take(&t->inodes_lock);
	column_give(&t->states, ix);
	lock_drop(&t->inodes_lock);
}

static void fill_new(struct tree *t, uint32_t ix)
{
	struct inode_record *inode = inode_at(t, ix);
	uint32_t generation = 0;
	int64_t now = inode_now();

	/* 0 is the root's; the counter may wrap after 2^32 births. */
	while (ix != ROOT_IX && generation == 0)
		generation = (uint32_t)tree_next_word(t, TREE_WORD_GENERATION);
	atomic_store_explicit(&inode->generation, generation,
			      memory_order_relaxed);
	atomic_store_explicit(&inode->atime, now, memory_order_relaxed);
	atomic_store_explicit(&inode->mtime, now, memory_order_relaxed);
	atomic_store_explicit(&inode->ctime, now, memory_order_relaxed);
	inode->btime = now;
	atomic_store_explicit(&inode->next_position, POSITION_FIRST,
			      memory_order_relaxed);
}

int inode_alloc(struct tree *t, uint32_t *ret_ix)
{
	uint32_t ix;
	int r = count_inode(t);

	if (r < 0)
		return r;
	r = table_alloc(t->arena, TABLE_INODES, BUDGET_NORMAL, &ix);
	if (r < 0)
		goto uncount;
	r = take_state(t, ix);
	if (r < 0) {
		table_free(t->arena, TABLE_INODES, ix);
		goto uncount;
	}
	fill_new(t, ix);
	*ret_ix = ix;
	return 0;
uncount:
	atomic_fetch_sub(&t->inodes, 1);
	return r == -ENOMEM ? -ENOSPC : r;
}

void inode_kill_locked(struct tree *t, uint32_t ix)
{
	struct inode_state *state = inode_state(t, ix);

	debug_invariant(atomic_load(&state->nlink) == 0);
	if (state->dir != SLAB_NONE)
		dirs_release(t, ix);
	/* In this order: tree_expects_room() sees one of both. */
	atomic_fetch_add(&t->dying, 1);
	atomic_fetch_sub(&t->nameless, 1);
	atomic_store_explicit(&inode_at(t, ix)->mode, 0, memory_order_release);
	tree_step(t);
}

/*
 * The other side is tree_forget(), which may find the same inode dead: the
 * lock lets only one of both kill it.
 */
bool inode_reap_locked(struct tree *t, uint32_t ix)
{
	struct inode_state *state = inode_state(t, ix);

	if (atomic_load(&state->nlink) != 0 ||
	    atomic_load(&state->lookups) != 0)
		return false;
	inode_kill_locked(t, ix);
	return true;
}

void inode_bury(struct tree *t, unsigned row, uint32_t ix)
{
	struct inode_record *inode = inode_at(t, ix);
	uint64_t word = inode_xattr(inode);

	if (pin_takes_over(t, ix, false))
		return;
	store_discard(t->store, row, inode_file(t, ix));
	atomic_store_explicit(&inode->xattr, 0, memory_order_release);
	if (word)
		xattr_bury(t, row, word);
	/*
	 * Who looks for a node that has gone, or walks over all, reads the
	 * record under the lock: it must not be wiped meanwhile.
	 */
	rwlock_write(&t->lock);
	give_state(t, ix);
	table_free(t->arena, TABLE_INODES, ix);
	rwlock_write_end(&t->lock);
	atomic_fetch_sub(&t->inodes, 1);
	atomic_fetch_sub(&t->dying, 1);
}

void inode_bury_unborn(struct tree *t, unsigned row, uint32_t ix)
{
	atomic_fetch_add(&t->dying, 1);
	inode_bury(t, row, ix);
}

/* True when nothing holds the inode any more. */
static bool drop_lookups(struct inode_state *state, uint64_t n)
{
	uint64_t held = atomic_load(&state->lookups);
	uint64_t left;

	do {
		/* After an attach the kernel holds more than we counted. */
		left = held > n ? held - n : 0;
	} while (!atomic_compare_exchange_weak(&state->lookups, &held, left));
	return left == 0 && atomic_load(&state->nlink) == 0;
}

void tree_forget(struct tree *t, unsigned row, uint64_t node, uint64_t n)
{
	uint32_t ix;
	bool dead;

	/* Under the lock: with its last lookup the inode may go at once. */
	rwlock_read(&t->lock);
	dead = inode_find(t, node, &ix) == 0 &&
	       drop_lookups(inode_state(t, ix), n);
	rwlock_read_end(&t->lock);
	if (!dead)
		return;
	rwlock_write(&t->lock);
	dead = inode_find(t, node, &ix) == 0 && inode_reap_locked(t, ix);
	rwlock_write_end(&t->lock);
	if (dead)
		inode_bury(t, row, ix);
}

/* A kernel that lets go of an unlinked inode says so at once: the FORGET is
 * queued before unlink(2) returns. Only a starved worker takes long over it. */
#define FORGET_LATE_NS (2 * NS_PER_S)

bool tree_expects_room(struct tree *t)
{
	if (atomic_load(&t->nameless) != 0 &&
	    clock_ns() - atomic_load(&t->unnamed_ns) < FORGET_LATE_NS)
		return true;
	return atomic_load(&t->dying) != 0;
}

void tree_stood_still(struct tree *t, uint64_t ns)
{
	atomic_fetch_add(&t->unnamed_ns, ns);
}

static struct timespec to_timespec(int64_t ns)
{
	int64_t s = ns / (int64_t)NS_PER_S;
	int64_t rest = ns % (int64_t)NS_PER_S;

	if (rest < 0) {
		rest += (int64_t)NS_PER_S;
		s--;
	}
	return (struct timespec){.tv_sec = s, .tv_nsec = rest};
}

static void stat_size(const struct tree *t, uint32_t ix, struct stat *st)
{
	const struct body *body = &inode_at(t, ix)->body;

	if (S_ISDIR(st->st_mode)) {
		st->st_size = (2 + (off_t)dirs_entries(t, ix)) * ENTRY_WEIGHT;
		return;
	}
	st->st_size =
		(off_t)atomic_load_explicit(&body->size, memory_order_relaxed);
	st->st_blocks = (blkcnt_t)atomic_load_explicit(&body->pages,
						       memory_order_relaxed) *
			(PAGE_BYTES / 512);
}

void inode_stat(const struct tree *t, uint32_t ix, struct stat *ret)
{
	const struct inode_record *inode = inode_at(t, ix);

	*ret = (struct stat){
		.st_ino = ix,
		.st_mode = inode_mode(inode),
		.st_nlink = atomic_load_explicit(&inode_state(t, ix)->nlink,
						 memory_order_relaxed),
		.st_uid =
			atomic_load_explicit(&inode->uid, memory_order_relaxed),
		.st_gid =
			atomic_load_explicit(&inode->gid, memory_order_relaxed),
		.st_rdev = inode_is_device(inode_mode(inode)) ? inode->rdev : 0,
		.st_blksize = GOOD_IO_BYTES,
		.st_atim = to_timespec(atomic_load_explicit(
			&inode->atime, memory_order_relaxed)),
		.st_mtim = to_timespec(atomic_load_explicit(
			&inode->mtime, memory_order_relaxed)),
		.st_ctim = to_timespec(atomic_load_explicit(
			&inode->ctime, memory_order_relaxed)),
	};
	stat_size(t, ix, ret);
}

void inode_entry(struct tree *t, uint32_t ix, struct tree_entry *ret)
{
	atomic_fetch_add(&inode_state(t, ix)->lookups, 1);
	ret->node = inode_node(t, ix);
	inode_stat(t, ix, &ret->attr);
}

/* The clock stands still for milliseconds: a line that many write to is not
 * taken from each other for what it says already. */
static void set_time(_Atomic int64_t *time, int64_t now)
{
	if (atomic_load_explicit(time, memory_order_relaxed) != now)
		atomic_store_explicit(time, now, memory_order_relaxed);
}

void inode_touch_ctime(struct tree *t, uint32_t ix, int64_t now)
{
	set_time(&inode_at(t, ix)->ctime, now);
}

void inode_touch_changed(struct tree *t, uint32_t ix, int64_t now)
{
	set_time(&inode_at(t, ix)->mtime, now);
	inode_touch_ctime(t, ix, now);
}

void inode_named_locked(struct tree *t, uint32_t ix)
{
	if (atomic_fetch_add(&inode_state(t, ix)->nlink, 1) == 0)
		atomic_fetch_sub(&t->nameless, 1);
}

static void became_nameless(struct tree *t)
{
	atomic_store(&t->unnamed_ns, clock_ns());
	atomic_fetch_add(&t->nameless, 1);
}

/* A directory loses all of its links with its only name. */
void inode_unnamed_locked(struct tree *t, uint32_t ix)
{
	struct inode_state *state = inode_state(t, ix);

	if (inode_is_dir(t, ix)) {
		atomic_store(&state->nlink, 0);
		became_nameless(t);
	} else if (atomic_fetch_sub(&state->nlink, 1) == 1) {
		became_nameless(t);
	}
}
