#ifndef COPENSSL_H
#define COPENSSL_H

// OpenSSL 3.0's TLS and X.509 interfaces, the macros of them that Swift does not see as functions, and the BIO through which the
// library reaches a socket. No logic: what a result means is decided in LinuxIO.

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "COpenSSLCertificates.h"

#include <stddef.h>
#include <stdint.h>

/// Where one connection's records come from and go to: they are received from a socket as OpenSSL asks for them, and what it writes
/// is gathered in memory of the caller's.
struct copenssl_socket {
  /// The socket; -1 answers every read with the end.
  int fd;
  /// The errno with which the last recv(2) failed, 0 where it did not.
  int receive_errno;
  /// recv(2) has answered 0.
  int ended;
  /// The first bytes that were received are those of a TLS record; -1 before any.
  int heard_record;
  /// Messages of the handshake protocol that were received, those after the handshake included, and the most there may be: beyond,
  /// every read fails with EPROTO.
  uint64_t messages;
  uint64_t messages_limit;
  /// Where written records are gathered; NULL refuses them.
  uint8_t *output;
  size_t output_count;
  size_t output_capacity;
};

/// A BIO over the structure, which must outlive it. NULL where memory is short.
BIO *copenssl_socket_bio(struct copenssl_socket *socket);
/// Counts the messages of a session in the structure, which must outlive it.
void copenssl_count_messages(SSL *ssl, struct copenssl_socket *socket);

/// The library context (OSSL_LIB_CTX(3)) for connections: of the default provider it has the decoders of certificates' public keys and
/// the ciphers of TLS 1.3, and all of the rest. NULL, which is OpenSSL's own context, where the system's configuration has other
/// providers, or FIPS. Made once, and never freed.
OSSL_LIB_CTX *copenssl_narrow_library(void);

// Macros.

static inline int copenssl_set_min_version(SSL_CTX *context, int version) {
  return (int)SSL_CTX_set_min_proto_version(context, version);
}
/// SSL_CTX_set_options(3): their names are macros over a cast.
static inline void copenssl_set_options(SSL_CTX *context) {
  (void)SSL_CTX_set_options(
    context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
}
/// SSL_CTX_set_mode(3).
static inline void copenssl_set_modes(SSL_CTX *context) {
  (void)SSL_CTX_set_mode(
    context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
}
static inline void copenssl_session_cache_off(SSL_CTX *context) { (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); }
/// The most bytes of a certificate chain that is received.
static inline void copenssl_set_max_chain(SSL_CTX *context, long bytes) { (void)SSL_CTX_set_max_cert_list(context, bytes); }
static inline void copenssl_read_ahead(SSL_CTX *context) { (void)SSL_CTX_set_read_ahead(context, 1); }
static inline int copenssl_set_server_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }
static inline int copenssl_error_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline int copenssl_error_library(unsigned long code) { return ERR_GET_LIB(code); }
static inline int copenssl_general_name_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline GENERAL_NAME *copenssl_general_name(const GENERAL_NAMES *names, int index) { return sk_GENERAL_NAME_value(names, index); }
static inline int copenssl_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(context, certificate);
}
static inline EVP_PKEY *copenssl_new_p256_key(void) { return EVP_EC_gen("P-256"); }

#endif
