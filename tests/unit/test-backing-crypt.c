/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encrypted extents: what is in them never shows up in the file, they come back
 * in the next life, and no nonce is used twice. */
#include "backing_rig.h"
#include "base/compiler.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static struct backing_rig rig;

#define CANARY "the canary that must never be seen"

static void count_canaries(unsigned *ret)
{
	char *file = malloc(4 * MIB);
	int fd = open(rig.path, O_RDONLY);
	ssize_t n;

	assert_non_null(file);
	assert_true(fd >= 0);
	n = pread(fd, file, 4 * MIB, 0);
	assert_true(n >= (ssize_t)BACKING_SEGMENT_BYTES);
	close(fd);
	*ret = 0;
	for (char *at = file;
	     (at = memmem(at, (size_t)(file + n - at), CANARY, strlen(CANARY)));
	     at++)
		++*ret;
	free(file);
}

static unsigned canaries_in_file(bool encrypt)
{
	unsigned found;

	backing_rig_up(&rig, IO_BEST, encrypt, 0);
	assert_int_equal(rig_stats(&rig).encrypted, encrypt);
	for (uint32_t i = 0; i < 100; i++) {
		struct extent_owner owner = {i, ~i, 0};
		char bytes[400];

		memset(bytes, (int)i, sizeof(bytes));
		memcpy(bytes + i, CANARY, sizeof(CANARY));
		rig.item[i] = (struct rig_item){.state = RIG_PUT};
		assert_int_equal(backing_put(rig.backing, &owner, 0, 0, bytes,
					     sizeof(bytes), i,
					     &rig.item[i].extent),
				 0);
	}
	rig_settle(&rig);
	count_canaries(&found);
	backing_rig_down(&rig);
	return found;
}

static void test_canaries(void **state UNUSED)
{
	/* The search finds them where they are. */
	assert_int_equal(canaries_in_file(false), 100);
	assert_int_equal(canaries_in_file(true), 0);
}

static void test_next_life(void **state UNUSED)
{
	backing_rig_up(&rig, IO_BEST, true, 0);
	for (uint32_t i = 0; i < 500; i++)
		rig_put_wait(&rig, i, rig_length(&rig), 0);
	rig_settle(&rig);
	rig_check(&rig);
	backing_rig_reattach(&rig);
	assert_true(rig_stats(&rig).encrypted);
	rig_check(&rig);
	for (uint32_t i = 500; i < 700; i++)
		rig_put_wait(&rig, i, rig_length(&rig), 0);
	rig_settle(&rig);
	rig_check(&rig);
	backing_rig_down(&rig);
}

/* The key is in RAM while the file is open, and nowhere afterwards. */
static void test_key(void **state UNUSED)
{
	uint64_t key[2][CRYPT_KEY_WORDS];

	for (unsigned k = 0; k < 2; k++) {
		uint64_t sum = 0;

		backing_rig_up(&rig, IO_BEST, true, 0);
		for (unsigned i = 0; i < CRYPT_KEY_WORDS; i++)
			key[k][i] = *word_of(rig.backing, WORD_KEY + i);
		assert_int_equal(backing_close(rig.backing), 0);
		for (unsigned i = 0; i < CRYPT_KEY_WORDS; i++)
			sum |= *word_of(rig.backing, WORD_KEY + i);
		assert_int_equal(sum, 0);
		assert_false(rig_stats(&rig).encrypted);
		backing_rig_down(&rig);
	}
	assert_memory_not_equal(key[0], key[1], sizeof(key[0]));
}

/* Equal bytes at other units and in other lives look different. */
static void test_nonces(enum crypt_cipher cipher)
{
	const uint64_t key[CRYPT_KEY_WORDS] = {1, 2, 3, 4};
	const struct {
		uint64_t sequence, unit;
	} at[] = {{1, 128}, {1, 130}, {2, 128}, {1, UINT64_C(1) << 31}};
	struct extent_header header[ARRAY_SIZE(at)];
	char out[ARRAY_SIZE(at)][64], back[64];
	const char in[64] = "the same bytes each time";
	struct crypt *crypt;

	if (crypt_new(cipher, key, &crypt) == -EOPNOTSUPP)
		skip();
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		header[i] = (struct extent_header){.n_bytes = sizeof(in)};
		crypt_seal(crypt, at[i].sequence, at[i].unit, &header[i],
			   out[i], in);
		for (unsigned k = 0; k < i; k++) {
			assert_memory_not_equal(out[i], out[k], sizeof(in));
			assert_false(crypt_open(crypt, at[k].sequence,
						at[k].unit, &header[i], back,
						out[i]));
		}
		assert_true(crypt_open(crypt, at[i].sequence, at[i].unit,
				       &header[i], back, out[i]));
		assert_memory_equal(back, in, sizeof(in));
		/* The header is part of what is sealed. */
		header[i].page ^= 1;
		assert_false(crypt_open(crypt, at[i].sequence, at[i].unit,
					&header[i], back, out[i]));
	}
	crypt_free(crypt);
}

static void test_aes(void **state UNUSED)
{
	test_nonces(CRYPT_AES256GCM);
}

static void test_xchacha(void **state UNUSED)
{
	test_nonces(CRYPT_XCHACHA20);
}

/* As it lies in a file: @bytes sealed in place. */
struct sealed {
	struct extent_header header;
	char bytes[BACKING_OBJECT_MAX];
};

static void seal(const struct crypt *crypt, uint64_t unit, unsigned n_bytes,
		 struct sealed *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->header = (struct extent_header){.file = (uint32_t)unit,
					     .n_bytes = (uint16_t)n_bytes};
	for (unsigned i = 0; i < n_bytes; i++)
		ret->bytes[i] = (char)(unit + i * 7);
	crypt_seal(crypt, 5, unit, &ret->header, ret->bytes, ret->bytes);
}

static bool is_back(const struct crypt *crypt, uint64_t unit,
		    const struct sealed *s)
{
	char back[BACKING_OBJECT_MAX];

	if (!crypt_open(crypt, 5, unit, &s->header, back, s->bytes))
		return false;
	for (unsigned i = 0; i < s->header.n_bytes; i++)
		if (back[i] != (char)(unit + i * 7))
			return false;
	return true;
}

static struct crypt *new_aes(void)
{
	const uint64_t key[CRYPT_KEY_WORDS] = {9, 8, 7, 6};
	struct crypt *crypt;

	if (crypt_new(CRYPT_AES256GCM, key, &crypt) == -EOPNOTSUPP)
		skip();
	return crypt;
}

/* Both libraries make the same of the same bytes: either can follow the other
 * in the next life, or in the next message. */
static void test_libraries(void **state UNUSED)
{
	struct crypt *fast = new_aes(), *slow = new_aes();
	struct sealed a, b;

	crypt_slow_down(slow);
	for (unsigned n = 1; n <= BACKING_OBJECT_MAX; n += n < 300 ? 1 : 61) {
		seal(fast, n, n, &a);
		seal(slow, n, n, &b);
		assert_memory_equal(&a, &b, sizeof(a));
		assert_true(is_back(fast, n, &a));
		assert_true(is_back(slow, n, &a));
		a.bytes[n / 2] ^= 4;
		assert_false(is_back(fast, n, &a));
		assert_false(is_back(slow, n, &a));
		b.header.mac[n % 16] ^= 1;
		assert_false(is_back(fast, n, &b));
	}
	crypt_free(fast);
	crypt_free(slow);
}

static void *seal_and_open(void *arg)
{
	const struct crypt *crypt = arg;
	struct sealed s;

	for (unsigned i = 1; i <= 1000; i++) {
		unsigned n = 1 + i * 997 % BACKING_OBJECT_MAX;

		seal(crypt, i, n, &s);
		if (!is_back(crypt, i, &s))
			return arg;
	}
	return NULL;
}

/* More threads than there are handles. */
static void test_threads(void **state UNUSED)
{
	struct crypt *crypt = new_aes();
	pthread_t thread[12];
	void *wrong;

	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, seal_and_open, crypt),
			0);
	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	crypt_free(crypt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canaries),
		cmocka_unit_test(test_next_life),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_aes),
		cmocka_unit_test(test_xchacha),
		cmocka_unit_test(test_libraries),
		cmocka_unit_test(test_threads),
	};
	enum crypt_cipher cipher;

	/* Built without a cipher: meson shows a skip. */
	if (crypt_choose(&cipher) < 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
