/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the check: it finds what is damaged, says so, and nothing else once
 * the damage is undone.
 */
#include "base/heap.h"
#include "base/page.h"
#include "fs/check.h"
#include "fs_rig.h"
#include "pool/span_priv.h"
#include "store/map.h"
#include "tree/inside.h"
#include "unit.h"
#include <stdio.h>

#define PAGES 20u

struct scene {
	struct fs_rig rig;
	struct engine *e;
	struct tree *t;
	struct tree_caller who;
	uint32_t file, dir, link; /* inodes; the file's name */
	struct body *body;
	uint64_t kept; /* what a damage took out */
	bool damaged;
};

static struct check_result result;

static unsigned run_check(struct scene *s)
{
	memset(&result, 0, sizeof(result));
	assert_int_equal(check_run(s->rig.fs, &result), 0);
	return result.faults.found;
}

static bool is_said(const char *text)
{
	for (unsigned i = 0; i < faults_kept(&result.faults); i++)
		if (strstr(result.faults.text[i], text))
			return true;
	return false;
}

static void make_dir(struct scene *s, const char *name)
{
	struct tree_entry entry;

	assert_int_equal(tree_make(s->t, &s->who, TREE_ROOT, name,
				   S_IFDIR | 0755, 0, NULL, &entry),
			 0);
	s->dir = node_ix(entry.node);
}

/* Pages that compress, one that does not, fill pages of both kinds; and an
 * attribute, whose value is too short to compress. */
static void make_file(struct scene *s)
{
	uint64_t node = fs_rig_create(&s->rig, "a", 0644);
	char page[PAGE_BYTES];
	uint64_t seed = 1;
	struct file file;

	for (unsigned i = 0; i < PAGES; i++) {
		memset(page, i < 2 ? (int)i : 'a', sizeof(page));
		snprintf(page + 100, 40, i > 2 ? "page %u" : "%c", i);
		for (unsigned k = 0; i == 2 && k < sizeof(page); k++)
			page[k] = (char)((seed = seed * 6364136223846793005u +
						 1442695040888963407u) >>
					 56);
		if (i < 2)
			memset(page, i ? 0x5a : 0, sizeof(page));
		if (i == 3)
			for (unsigned k = 0; k < sizeof(page) / 8; k++)
				memcpy(page + 8 * k, "bigword!", 8);
		assert_int_equal(fs_rig_write(&s->rig, node, i * PAGE_BYTES,
					      page, sizeof(page), 0),
				 sizeof(page));
	}
	assert_int_equal(tree_file(s->t, node, &file), 0);
	s->file = node_ix(node);
	s->body = file.body;
	s->who.stream = stream_get(s->e->streams, 0);
	assert_int_equal(tree_setxattr(s->t, &s->who, node, "user.x",
				       "some value", 10, 0),
			 0);
	stream_put(s->e->streams, s->who.stream);
}

static void scene_start(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	fs_rig_config(&s->rig);
	fs_rig_up(&s->rig);
	fs_rig_init(&s->rig, 0);
	s->e = &s->rig.fs->engine;
	s->t = s->e->tree;
	make_dir(s, "d");
	make_file(s);
	engine_charge_process(s->e);
	s->link = names_find(s->t, ROOT_IX, "a", 1);
}

static void scene_end(struct scene *s)
{
	fs_rig_down(&s->rig);
}

/* --- damages: each of them, done twice, is undone --- */

static _Atomic uint64_t *entry_of(struct scene *s, uint64_t page)
{
	unsigned have;
	_Atomic uint64_t *slots = map_slots(s->e->arena, s->body, page, &have);

	assert_non_null(slots);
	return slots;
}

static struct span *any_span(struct scene *s)
{
	struct span_pool *sp = (struct span_pool *)s->e->pool;

	for (uint32_t ix = 0;; ix++)
		if (span_shard(span_at(sp, ix)) != SHARD_NONE)
			return span_at(sp, ix);
}

static void name_of_nothing(struct scene *s)
{
	name_at(s->t, s->link)->node ^= UINT64_C(1) << 50;
}

static void name_in_a_file(struct scene *s)
{
	name_at(s->t, s->link)->parent ^= ROOT_IX ^ s->file;
}

static void name_spelt_wrongly(struct scene *s)
{
	name_at(s->t, s->link)->name[0] ^= 1;
}

static void wrong_dot_dot(struct scene *s)
{
	inode_at(s->t, s->dir)->parent ^= ROOT_IX ^ s->dir;
}

static void wrong_link_count(struct scene *s)
{
	inode_state(s->t, s->file)->nlink ^= 4;
}

static void wrong_subdirectories(struct scene *s)
{
	inode_state(s->t, s->dir)->nlink ^= 1;
}

static void dead_inode(struct scene *s)
{
	mode_t mode = inode_at(s->t, s->file)->mode;

	inode_at(s->t, s->file)->mode = (uint32_t)s->kept;
	s->kept = mode;
}

static void wrong_inode_count(struct scene *s)
{
	s->t->inodes ^= 64;
}

static void foreign_xattrs(struct scene *s)
{
	uint64_t word = inode_xattr(inode_at(s->t, s->file));

	xattr_at(s->t, xattr_word_ix(word))->owner ^= 8;
}

static void wrong_page_count(struct scene *s)
{
	s->body->pages ^= 1;
}

static void root_of_nothing(struct scene *s)
{
	s->body->root ^= UINT64_C(1) << (ENTRY_PAYLOAD_SHIFT + 20);
}

static void wrong_handle(struct scene *s)
{
	*entry_of(s, 5) ^= UINT64_C(1) << 50;
}

static void swap_entry(struct scene *s, uint64_t page, uint64_t with)
{
	uint64_t word = *entry_of(s, page);

	*entry_of(s, page) = s->damaged ? s->kept : with;
	s->kept = word;
}

static void object_of_two(struct scene *s)
{
	swap_entry(s, 5, *entry_of(s, 6));
}

static void object_of_none(struct scene *s)
{
	swap_entry(s, 5, 0);
}

static void fill_word_of_none(struct scene *s)
{
	assert_int_equal(entry_kind(*entry_of(s, 3)),
			 s->damaged ? ENTRY_FILL : ENTRY_FILL_RECORD);
	swap_entry(s, 3, entry_of_fill(0));
}

static void broken_header(struct scene *s)
{
	struct span_pool *sp = (struct span_pool *)s->e->pool;
	struct place place;

	assert_int_equal(place_of(sp, entry_handle(*entry_of(s, 5)), &place),
			 0);
	*header_at(sp, place.offset_bytes) ^= UINT64_C(1) << 40;
}

static void lost_fill(struct scene *s)
{
	swap_entry(s, 1, 0);
}

static void lost_raw(struct scene *s)
{
	swap_entry(s, 2, 0);
}

static void wrong_set_count(struct scene *s)
{
	sets_count(s->e->sets, TALLY_SHARED_ROW, sets_current(s->e->sets),
		   s->damaged ? -1 : 1);
}

static void lost_leaf(struct scene *s)
{
	uint32_t ix = (uint32_t)s->kept;

	if (s->damaged) {
		table_free(s->e->arena, TABLE_LEAVES, ix);
		return;
	}
	assert_int_equal(
		table_alloc(s->e->arena, TABLE_LEAVES, BUDGET_NORMAL, &ix), 0);
	s->kept = ix;
}

static void wrong_span(struct scene *s)
{
	any_span(s)->used ^= 1;
}

static void unpaid_memory(struct scene *s)
{
	if (s->damaged)
		budget_force(&s->e->budget, s->kept);
	else
		budget_give(&s->e->budget,
			    s->kept = budget_used(&s->e->budget) - PAGE_BYTES);
}

static const struct damage {
	void (*turn)(struct scene *s);
	const char *says;
} damages[] = {
	{name_of_nothing, "that is none"},
	{name_in_a_file, "no directory"},
	{name_spelt_wrongly, "is not what its hash finds"},
	{wrong_dot_dot, "its .. is another"},
	{wrong_link_count, "1 names, nlink 5"},
	{wrong_subdirectories, "nlink 3 not 2"},
	{dead_inode, "is used and not alive"},
	{wrong_inode_count, "inodes: 3 are reached, 67 are counted"},
	{foreign_xattrs, "is not its"},
	{wrong_page_count, "20 pages are held, it says 21"},
	{root_of_nothing, "page 0: a node of its map is a free record"},
	{wrong_handle, "page 5: no object where its entry points"},
	{object_of_two, "not each of them belongs to one page"},
	{object_of_none, "objects in the pool"},
	{fill_word_of_none, "records of fill words: 0 are reached, 1"},
	{broken_header, "page 5: no object where its entry points"},
	{object_of_none, "bytes of objects"},
	{lost_fill, "pages held: 20 are reached, 21"},
	{lost_fill, "fill pages: 2 are reached, 3"},
	{lost_raw, "raw pages: 1 are reached, 2"},
	{wrong_set_count, "objects of set"},
	{lost_leaf, "leaves of maps"},
	{wrong_span, "the pool:"},
	{unpaid_memory, "the kernel charges"},
};

static void every_damage_is_found(void **state UNUSED)
{
	struct scene s;

	scene_start(&s);
	assert_int_equal(run_check(&s), 0);
	assert_int_equal(result.audit.pages, PAGES + 1);
	assert_int_equal(result.audit.fill_records, 1);
	assert_int_equal(result.tree.inodes, 3);
	for (unsigned i = 0; i < ARRAY_SIZE(damages); i++) {
		s.damaged = false;
		damages[i].turn(&s);
		if (run_check(&s) == 0 || !is_said(damages[i].says))
			fail_msg("damage %u: %u faults, first '%s', want '%s'",
				 i, result.faults.found, result.faults.text[0],
				 damages[i].says);
		s.damaged = true;
		damages[i].turn(&s);
		if (run_check(&s) != 0)
			fail_msg("damage %u undone: '%s'", i,
				 result.faults.text[0]);
	}
	scene_end(&s);
}

/* --- what is no fault --- */

static bool unlink_and_check(void *arg, struct file file UNUSED)
{
	struct scene *s = arg;
	uint64_t node = inode_node(s->t, s->file);

	assert_int_equal(tree_unlink(s->t, &s->who, TREE_ROOT, "a"), 0);
	/* The kernel knows it yet. */
	if (run_check(s))
		fail_msg("nameless: %s", result.faults.text[0]);
	tree_forget(s->t, TALLY_SHARED_ROW, node, 100);
	if (run_check(s))
		fail_msg("pinned: %s", result.faults.text[0]);
	/* And the value of its attribute. */
	assert_int_equal(result.audit.pages, PAGES + 1);
	return true;
}

static void a_walk_may_stand_at_a_dead_file(void **state UNUSED)
{
	struct scene s;

	scene_start(&s);
	tree_each_file(s.t, TALLY_SHARED_ROW, unlink_and_check, &s);
	assert_int_equal(run_check(&s), 0);
	assert_int_equal(result.audit.pages, 0);
	scene_end(&s);
}

static void without_room_it_says_so(void **state UNUSED)
{
	uint64_t room;
	struct scene s;

	scene_start(&s);
	room = budget_limit(&s.e->budget) - budget_used(&s.e->budget);
	budget_force(&s.e->budget, room);
	assert_int_equal(check_run(s.rig.fs, &result), -ENOSPC);
	budget_give(&s.e->budget, room);
	assert_int_equal(run_check(&s), 0);
	scene_end(&s);
}

static void the_answer_has_it_all(void **state UNUSED)
{
	struct answer answer;
	struct scene s;

	scene_start(&s);
	wrong_link_count(&s);
	answer = check_answer(s.rig.fs);
	assert_non_null(strstr(answer.text, "{\"ok\":true,\"checked\":{"
					    "\"inodes\":3,\"names\":2,"));
	assert_non_null(strstr(answer.text, "\"found\":1,\"faults\":[\""));
	assert_non_null(strstr(answer.text, "1 names, nlink 5\"]}\n"));
	answer_fini(&answer);
	wrong_link_count(&s);
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_damage_is_found),
		cmocka_unit_test(a_walk_may_stand_at_a_dead_file),
		cmocka_unit_test(without_room_it_says_so),
		cmocka_unit_test(the_answer_has_it_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
