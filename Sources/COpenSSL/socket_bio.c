#include "COpenSSL.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int socket_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

static int socket_read(BIO *bio, char *buffer, size_t capacity, size_t *taken) {
  struct copenssl_socket *socket = BIO_get_data(bio);
  ssize_t count;

  BIO_clear_retry_flags(bio);
  *taken = 0;
  if (socket == NULL) return 0;
  if (socket->fd < 0) {
    socket->ended = 1;
    return 0;
  }
  // What OpenSSL has read ahead it goes through without asking.
  if (socket->messages > socket->messages_limit) {
    socket->receive_errno = EPROTO;
    return 0;
  }
  do count = recv(socket->fd, buffer, capacity, 0);
  while (count < 0 && errno == EINTR);
  if (count > 0) {
    // The record's type (RFC 8446 section 5.1), and the first half of its version.
    if (socket->heard_record < 0) {
      const unsigned char *head = (const unsigned char *)buffer;
      socket->heard_record = head[0] >= 20 && head[0] <= 23 && (count < 2 || head[1] == 3);
    }
    *taken = (size_t)count;
    return 1;
  }
  if (count == 0) {
    socket->ended = 1;
  } else if (errno == EAGAIN) {
    BIO_set_retry_read(bio);
  } else {
    socket->receive_errno = errno;
  }
  return 0;
}

static int socket_write(BIO *bio, const char *bytes, size_t count, size_t *written) {
  struct copenssl_socket *socket = BIO_get_data(bio);
  size_t room;

  BIO_clear_retry_flags(bio);
  *written = 0;
  if (socket == NULL || socket->output == NULL) return 0;
  room = socket->output_capacity - socket->output_count;
  if (room == 0) {
    BIO_set_retry_write(bio);
    return 0;
  }
  if (count > room) count = room;
  memcpy(socket->output + socket->output_count, bytes, count);
  socket->output_count += count;
  *written = count;
  return 1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
  struct copenssl_socket *socket = BIO_get_data(bio);

  (void)number;
  (void)pointer;
  switch (command) {
  case BIO_CTRL_FLUSH:
    return 1;
  // OpenSSL 3 asks it to tell a truncation from a failed read.
  case BIO_CTRL_EOF:
    return socket != NULL && socket->ended;
  default:
    return 0;
  }
}

static BIO_METHOD *method;
static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lanekeeper socket");
  if (method == NULL) return;
  if (!BIO_meth_set_create(method, socket_create) || !BIO_meth_set_read_ex(method, socket_read) ||
      !BIO_meth_set_write_ex(method, socket_write) || !BIO_meth_set_ctrl(method, socket_control)) {
    BIO_meth_free(method);
    method = NULL;
  }
}

BIO *copenssl_socket_bio(struct copenssl_socket *socket) {
  BIO *bio;

  if (!CRYPTO_THREAD_run_once(&method_once, make_method) || method == NULL) return NULL;
  bio = BIO_new(method);
  if (bio != NULL) BIO_set_data(bio, socket);
  return bio;
}

static void count_message(int written, int version, int type, const void *bytes, size_t count, SSL *ssl, void *argument) {
  struct copenssl_socket *socket = argument;

  (void)version;
  (void)bytes;
  (void)count;
  (void)ssl;
  if (!written && type == SSL3_RT_HANDSHAKE) socket->messages++;
}

void copenssl_count_messages(SSL *ssl, struct copenssl_socket *socket) {
  SSL_set_msg_callback(ssl, count_message);
  SSL_set_msg_callback_arg(ssl, socket);
}
