#include "COpenSSL.h"

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>

#include <string.h>

// The default provider, of which a part is left out: OpenSSL's own tests have such a provider (test/filterprovider.c). Each certificate
// that comes in makes the library go through all decoders and all that was ever fetched (OSSL_DECODER_CTX_new_for_pkey(3), whose
// result OpenSSL 3.0 does not keep). With few of them an accepted handshake with two certificates takes 24% fewer instructions.

static OSSL_PROVIDER *whole;
static OSSL_ALGORITHM *decoders;
static OSSL_ALGORITHM *ciphers;

/// The names under which TLS knows the keys of certificates, and its ciphers; what is behind a colon in OpenSSL's lists are aliases.
static const char *const key_kinds[] = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448", NULL};
static const char *const cipher_names[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", NULL};

static int is_one_of(const char *names, const char *const *wanted) {
  for (; *wanted != NULL; wanted++) {
    size_t length = strlen(*wanted);

    if (strncmp(names, *wanted, length) == 0 && (names[length] == ':' || names[length] == '\0')) return 1;
  }
  return 0;
}

/// What the whole provider has of an operation under these names and with that in its properties. NULL where memory is short.
static OSSL_ALGORITHM *part(int operation, const char *const *wanted, const char *property) {
  int no_cache = 0;
  const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
  OSSL_ALGORITHM *found;
  size_t count = 0, taken = 0;

  if (all == NULL) return NULL;
  while (all[count].algorithm_names != NULL) count++;
  found = OPENSSL_zalloc((count + 1) * sizeof(*found));
  if (found == NULL) return NULL;
  for (size_t index = 0; index < count; index++) {
    if (is_one_of(all[index].algorithm_names, wanted) && strstr(all[index].property_definition, property) != NULL) {
      found[taken++] = all[index];
    }
  }
  return found;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache) {
  (void)context;
  *no_cache = 0;
  switch (operation) {
  case OSSL_OP_DECODER:
    return decoders;
  case OSSL_OP_CIPHER:
    return ciphers;
  default:
    return OSSL_PROVIDER_query_operation(whole, operation, no_cache);
  }
}

static const OSSL_PARAM *gettable_parameters(void *context) {
  (void)context;
  return OSSL_PROVIDER_gettable_params(whole);
}

static int get_parameters(void *context, OSSL_PARAM parameters[]) {
  (void)context;
  return OSSL_PROVIDER_get_params(whole, parameters);
}

static int get_capabilities(void *context, const char *capability, OSSL_CALLBACK *callback, void *argument) {
  (void)context;
  return OSSL_PROVIDER_get_capabilities(whole, capability, callback, argument);
}

static const OSSL_DISPATCH functions[] = {
  {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable_parameters},
  {OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_parameters},
  {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
  {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities},
  {0, NULL},
};

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **provided, void **context) {
  (void)handle;
  (void)core;
  *provided = functions;
  // The algorithms are the whole provider's, and so is what they expect here.
  *context = OSSL_PROVIDER_get0_provider_ctx(whole);
  return 1;
}

static int count_others(OSSL_PROVIDER *provider, void *count) {
  if (strcmp(OSSL_PROVIDER_get0_name(provider), "default") != 0) ++*(int *)count;
  return 1;
}

static OSSL_LIB_CTX *library;
static CRYPTO_ONCE library_once = CRYPTO_ONCE_STATIC_INIT;

static void make_library(void) {
  OSSL_LIB_CTX *made;
  int others = 0;

  if (!OSSL_PROVIDER_do_all(NULL, count_others, &others) || others > 0 || EVP_default_properties_is_fips_enabled(NULL)) return;
  whole = OSSL_PROVIDER_load(NULL, "default");
  if (whole == NULL) return;
  decoders = part(OSSL_OP_DECODER, key_kinds, "structure=SubjectPublicKeyInfo");
  ciphers = part(OSSL_OP_CIPHER, cipher_names, "");
  made = OSSL_LIB_CTX_new();
  if (decoders != NULL && ciphers != NULL && made != NULL && OSSL_PROVIDER_add_builtin(made, "lanekeeper", start) &&
      OSSL_PROVIDER_load(made, "lanekeeper") != NULL) {
    library = made;
  } else {
    OSSL_LIB_CTX_free(made);
  }
}

OSSL_LIB_CTX *copenssl_narrow_library(void) {
  if (!CRYPTO_THREAD_run_once(&library_once, make_library)) return NULL;
  return library;
}
