/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store's model: pages that go to disk and come back all the time. */
#include "model_store.h"
#include "store/spill.h"
#include <errno.h>

static size_t faulty_write(void *arg, uint64_t offset UNUSED, size_t n_bytes,
			   int *ret_result)
{
	struct model *m = arg;

	/* Another thread may do the write: no random number of the model's. */
	if (!m->writes_fail)
		return n_bytes;
	*ret_result = -EIO;
	return n_bytes / 2;
}

void model_sweep(struct model *m)
{
	struct spill_files files = {store_rig_with, &m->rig};
	struct spill_pick pick = {
		.min_age = (unsigned)model_below(m, 3),
		.raw_min_age = (unsigned)model_below(m, 3),
		.end_page = UINT64_MAX,
		.budget_bytes =
			model_below(m, 4) ? UINT64_MAX : model_below(m, 100000),
	};
	int err;

	if (model_below(m, 6) == 0)
		pick.min_age = SPILL_NONE;
	if (!m->sweeping) {
		m->writes_fail = model_below(m, 8) == 0;
		backing_resume(m->rig.backing);
		err = store_spill_begin(m->rig.store, &pick, &files);
		EXPECT(m, err == 0);
		m->sweeping = true;
	}
	EXPECT(m, store_spill_begin(m->rig.store, &pick, &files) == -EAGAIN);
	for (unsigned i = 0; i < RIG_FILES; i++)
		if (model_below(m, 2) &&
		    !store_spill_body(m->rig.store, store_rig_file(&m->rig, i)))
			break;
	if (model_below(m, 2))
		store_spill_clean(m->rig.store, (unsigned)model_below(m, 120));
}

void model_sweep_end(struct model *m)
{
	struct spill_result result;

	if (!m->sweeping)
		return;
	store_spill_end(m->rig.store, &result);
	m->sweeping = false;
	EXPECT(m, m->writes_fail || result.failed == 0);
	EXPECT(m, result.err == 0 || result.err == -ENOSPC ||
			  (m->writes_fail && result.err == -EIO));
	m->cleaned += result.cleaned;
	m->changed += result.changed;
	m->failed += result.failed;
}

void model_sweep_whole(struct model *m)
{
	model_sweep(m);
	model_sweep_end(m);
}

void model_age(struct model *m)
{
	struct store_ages ages = {.bytes = {0}};

	/* Each comparison reads all: it would have all back. */
	store_set_promote(m->rig.store,
			  model_below(m, 3) == 0 ? ENTRY_AGAIN_TICKS : 0);
	for (unsigned i = 0; i < RIG_FILES; i++)
		store_age_body(m->rig.store, store_rig_file(&m->rig, i),
			       model_below(m, 2), &ages);
}

void model_fetch(struct model *m, unsigned i)
{
	uint64_t first =
		page_of(m->file[i].base) + model_below(m, WINDOW_PAGES);
	uint64_t end = first + model_below(m, WINDOW_PAGES), pages;
	int err =
		store_fetch_body(m->rig.store, store_rig_file(&m->rig, i),
				 model_below(m, 2) ? 0 : first,
				 model_below(m, 2) ? UINT64_MAX : end, &pages);

	EXPECT(m, err == 0 || (err == -ENOSPC && m->mem_is_tight));
}

void model_spill_up(struct model *m)
{
	m->faults = (struct io_faults){.write = faulty_write, .arg = m};
	io_set_faults(&m->faults);
}
