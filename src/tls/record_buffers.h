/*
 * record_buffers: the memory of OpenSSL's record buffers, lent from one stream to the next.
 *
 * A stream gives its buffers back with each step (66 kB to read ahead, 17 kB to write, 22 kB for the messages of a
 * handshake), and the next stream of the same thread takes them from here.  So streams that wait hold none, they
 * leave no holes in the heap, and the buffer that is used next is the one in the processor's cache.
 */
#ifndef MIDRELAY_TLS_RECORD_BUFFERS_H
#define MIDRELAY_TLS_RECORD_BUFFERS_H

/* Before anything else of OpenSSL is called; without it, or when it is too late, the buffers come from malloc(). */
void record_buffers_install(void);
/* Frees what this thread keeps; before a thread ends. */
void record_buffers_clear(void);

#endif
