/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SEEK_DATA and SEEK_HOLE: what is held is data, zero pages as well. */
#include "store/state.h"
#include <errno.h>
#include <unistd.h>

/* The first page of [@page, end of its group) that is @data or not; MAP_END:
 * none. */
static uint64_t seek_group(struct store *store, struct file file, uint64_t page,
			   bool data)
{
	struct lock *group = store_group_lock(store, file, page);
	uint64_t found = MAP_END;
	unsigned have = 0;
	_Atomic uint64_t *slots;

	lock_take(group);
	slots = map_slots(store->arena, file.body, page, &have);
	for (unsigned i = 0; i < have && found == MAP_END; i++) {
		uint64_t word =
			atomic_load_explicit(&slots[i], memory_order_relaxed);

		if ((entry_kind(word) != ENTRY_EMPTY) == data)
			found = page + i;
	}
	/* A map that ends inside the group is followed by a hole. */
	if (!data && found == MAP_END && (page + have) % GROUP_PAGES)
		found = page + have;
	lock_drop(group);
	return found;
}

static uint64_t seek_page(struct store *store, struct file file, uint64_t page,
			  uint64_t end, bool data)
{
	while (page < end) {
		uint64_t next = map_next(store->arena, file.body, page), found;

		if (next > page && !data)
			return page;
		if (next >= end)
			return end;
		found = seek_group(store, file, next, data);
		if (found != MAP_END)
			return found;
		page = (next | (GROUP_PAGES - 1)) + 1;
	}
	return end;
}

int store_seek(struct store *store, struct file file, uint64_t offset,
	       int whence, uint64_t *ret_offset)
{
	struct rwlock *lock = store_file_lock(store, file);
	uint64_t size, at;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	rwlock_read(lock);
	size = atomic_load_explicit(&file.body->size, memory_order_acquire);
	if (offset >= size) {
		rwlock_read_end(lock);
		return -ENXIO;
	}
	at = seek_page(store, file, page_of(offset), pages_for(size),
		       whence == SEEK_DATA)
	     << PAGE_SHIFT;
	rwlock_read_end(lock);
	if (at < offset)
		at = offset;
	if (at >= size) {
		if (whence == SEEK_DATA)
			return -ENXIO;
		at = size;
	}
	*ret_offset = at;
	return 0;
}
