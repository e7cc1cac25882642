/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AES-256-GCM by libgcrypt, or nothing where it is missing. */
#include "backing/aes.h"

#if HAVE_GCRYPT
#include "base/check.h"
#include "base/heap.h"
#include <gcrypt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* A message takes half a microsecond: hardly ever two want one. */
#define HANDLES 8u
/* Locked memory for the handles, 2 KiB each, of two files. */
#define SECURE_BYTES (48 << 10)
#define NONCE_BYTES 12
#define MAC_BYTES 16
#define KEY_BYTES 32

struct aes_handle {
	_Atomic bool taken;
	gcry_cipher_hd_t cipher;
} __attribute__((aligned(64)));

struct aes {
	unsigned handles_nr;
	struct aes_handle handle[HANDLES];
};

/* Its warning would go to stderr; without RLIMIT_MEMLOCK for it the key in the
 * arena is not locked either. Who we are is none of its business. */
static void start_library(void)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return;
	gcry_control(GCRYCTL_DISABLE_PRIV_DROP);
	if (!gcry_check_version(GCRYPT_VERSION))
		return;
	gcry_control(GCRYCTL_DISABLE_SECMEM_WARN);
	gcry_control(GCRYCTL_INIT_SECMEM, SECURE_BYTES, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

static bool begin(gcry_cipher_hd_t cipher, const struct aes_message *m)
{
	return !gcry_cipher_setiv(cipher, m->nonce, NONCE_BYTES) &&
	       !gcry_cipher_authenticate(cipher, m->clear, m->clear_bytes);
}

/* In place is what it takes no source for. */
static const void *source(const struct aes_message *m)
{
	return m->src == m->dst ? NULL : m->src;
}

static bool seal(gcry_cipher_hd_t cipher, const struct aes_message *m,
		 uint8_t *ret_mac)
{
	const void *src = source(m);

	return begin(cipher, m) &&
	       !gcry_cipher_encrypt(cipher, m->dst, m->n_bytes, src,
				    src ? m->n_bytes : 0) &&
	       !gcry_cipher_gettag(cipher, ret_mac, MAC_BYTES);
}

/* A nonce of our own is refused in FIPS mode: tried once, here. What it seals
 * leaves this function nowhere, so its nonce may come again. */
static bool handle_up(struct aes_handle *handle, const uint8_t *key)
{
	char bytes[MAC_BYTES] = {0};
	uint8_t mac[MAC_BYTES];
	const struct aes_message trial = {
		.nonce = bytes,
		.clear = bytes,
		.clear_bytes = sizeof(bytes),
		.src = bytes,
		.dst = bytes,
		.n_bytes = sizeof(bytes),
	};

	if (gcry_cipher_open(&handle->cipher, GCRY_CIPHER_AES256,
			     GCRY_CIPHER_MODE_GCM, GCRY_CIPHER_SECURE))
		return false;
	if (!gcry_cipher_setkey(handle->cipher, key, KEY_BYTES) &&
	    seal(handle->cipher, &trial, mac))
		return true;
	gcry_cipher_close(handle->cipher);
	return false;
}

struct aes *aes_new(const uint8_t key[32])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct aes *aes;

	pthread_once(&once, start_library);
	if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return NULL;
	aes = heap_aligned(64, sizeof(*aes));
	if (!aes)
		return NULL;
	memset(aes, 0, sizeof(*aes));
	while (aes->handles_nr < HANDLES &&
	       handle_up(&aes->handle[aes->handles_nr], key))
		aes->handles_nr++;
	if (aes->handles_nr)
		return aes;
	heap_free(aes);
	return NULL;
}

void aes_free(struct aes *aes)
{
	if (!aes)
		return;
	for (unsigned i = 0; i < aes->handles_nr; i++)
		gcry_cipher_close(aes->handle[i].cipher);
	heap_free(aes);
}

static struct aes_handle *handle_get(struct aes *aes)
{
	for (unsigned i = 0; aes && i < aes->handles_nr; i++) {
		struct aes_handle *handle = &aes->handle[i];

		if (!atomic_load_explicit(&handle->taken,
					  memory_order_relaxed) &&
		    !atomic_exchange_explicit(&handle->taken, true,
					      memory_order_acquire))
			return handle;
	}
	return NULL;
}

static void handle_put(struct aes_handle *handle)
{
	atomic_store_explicit(&handle->taken, false, memory_order_release);
}

bool aes_seal(struct aes *aes, const struct aes_message *m, uint8_t ret_mac[16])
{
	struct aes_handle *handle = handle_get(aes);

	if (!handle)
		return false;
	invariant(seal(handle->cipher, m, ret_mac));
	handle_put(handle);
	return true;
}

bool aes_open(struct aes *aes, const struct aes_message *m,
	      const uint8_t mac[16], bool *ret_genuine)
{
	struct aes_handle *handle = handle_get(aes);
	const void *src = source(m);

	if (!handle)
		return false;
	*ret_genuine = begin(handle->cipher, m) &&
		       !gcry_cipher_decrypt(handle->cipher, m->dst, m->n_bytes,
					    src, src ? m->n_bytes : 0) &&
		       !gcry_cipher_checktag(handle->cipher, mac, MAC_BYTES);
	handle_put(handle);
	return true;
}

#else

struct aes *aes_new(const uint8_t key[32] UNUSED)
{
	return NULL;
}

void aes_free(struct aes *aes UNUSED)
{
}

bool aes_seal(struct aes *aes UNUSED, const struct aes_message *m UNUSED,
	      uint8_t ret_mac[16] UNUSED)
{
	return false;
}

bool aes_open(struct aes *aes UNUSED, const struct aes_message *m UNUSED,
	      const uint8_t mac[16] UNUSED, bool *ret_genuine UNUSED)
{
	return false;
}

#endif
