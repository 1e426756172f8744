#ifndef COPENSSL_CERTIFICATES_H
#define COPENSSL_CERTIFICATES_H

// What the reading and making of certificates needs of OpenSSL's macros. No logic.

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline void copenssl_free(void *memory) { OPENSSL_free(memory); }
static inline GENERAL_NAMES *copenssl_new_general_names(void) { return sk_GENERAL_NAME_new_null(); }
/// Takes the name over. 0 where memory is short.
static inline int copenssl_push_general_name(GENERAL_NAMES *names, GENERAL_NAME *name) { return sk_GENERAL_NAME_push(names, name); }
static inline int copenssl_usage_count(const EXTENDED_KEY_USAGE *usages) { return sk_ASN1_OBJECT_num(usages); }
static inline ASN1_OBJECT *copenssl_usage(const EXTENDED_KEY_USAGE *usages, int index) { return sk_ASN1_OBJECT_value(usages, index); }
/// Prints a name as RFC 2253 has it, control characters and all that is not ASCII escaped. Below 0 where that fails.
static inline int copenssl_print_name(BIO *bio, const X509_NAME *name) { return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253); }
static inline long copenssl_memory(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

/// Adds an extension given as text in the form of x509v3_config(5), and its key identifiers from these two. 0 where that fails.
static inline int copenssl_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509_EXTENSION *extension;
  int added;

  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  if (extension == NULL) return 0;
  added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return added;
}

#endif
