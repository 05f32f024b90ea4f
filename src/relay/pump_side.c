/* pump_side: one side of a pump, a plain descriptor or a TLS stream; see pump_internal.h. */
#include <errno.h>
#include <sys/socket.h>

#include "relay/pump_internal.h"

bool pump_bytes_are_tls(const unsigned char *bytes, size_t len)
{
	/* RFC 8446 5.1: handshake record (22), legacy version 3.x, and a ClientHello (1) behind the head. */
	return len >= 3 && bytes[0] == 22 && bytes[1] == 3 && bytes[2] <= 4 && (len < 6 || bytes[5] == 1);
}

bool pump_bytes_are_http(const unsigned char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len && i < 24; i++) {
		if (bytes[i] == ' ')
			return i > 0;
		if (!((bytes[i] >= 'A' && bytes[i] <= 'Z') || bytes[i] == '-' || bytes[i] == '_'))
			return false;
	}
	return len > 0 && i == len;
}

static enum stream_status read_plain(struct pump_side *side, void *buf, size_t buf_bytes, size_t *len)
{
	ssize_t n;

	do {
		n = recv(watch_fd(side->watch), buf, buf_bytes, 0);
	} while (n < 0 && errno == EINTR);
	*len = n > 0 ? (size_t)n : 0;
	if (n > 0)
		/* A short read took all there was; the watch is level-triggered and tells of more. */
		return (size_t)n == buf_bytes ? STREAM_OK : STREAM_BLOCKED;
	if (n == 0)
		return STREAM_CLOSED;
	return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_BLOCKED : STREAM_RESET;
}

enum stream_status pump_side_read(struct pump_side *side, void *buf, size_t buf_bytes, size_t *len)
{
	if (side->stream != NULL)
		return stream_read(side->stream, buf, buf_bytes, len);
	return read_plain(side, buf, buf_bytes, len);
}

enum stream_status pump_side_write(struct pump_side *side, const void *buf, size_t len)
{
	if (side->stream != NULL)
		return stream_write(side->stream, buf, len);
	return stream_status_of_wire(wire_send(&side->wire, buf, len));
}

bool pump_side_pending(const struct pump_side *side)
{
	return side->stream != NULL ? stream_busy(side->stream) : wire_pending(&side->wire);
}

bool pump_side_wants_writable(const struct pump_side *side)
{
	return !side->broken && (side->stream != NULL ? stream_pending(side->stream) : wire_pending(&side->wire));
}

enum stream_status pump_side_flush(struct pump_side *side)
{
	if (side->stream != NULL)
		return stream_flush(side->stream);
	return stream_status_of_wire(wire_flush(&side->wire));
}

/* `closes_next`: nothing is left to be done, and close() will say the same to a client. */
enum stream_status pump_side_shut(struct pump_side *side, bool closes_next)
{
	side->out_shut = true;
	if (side->stream != NULL)
		return stream_shutdown(side->stream);
	if (closes_next)
		return STREAM_OK;
	return shutdown(watch_fd(side->watch), SHUT_WR) == 0 || errno == ENOTCONN ? STREAM_OK : STREAM_RESET;
}

uint64_t pump_side_received(const struct pump_side *side)
{
	return side->stream != NULL ? stream_received(side->stream) : side->bytes;
}

/* Nothing more will go out to this side. */
bool pump_side_is_flushed(const struct pump_side *side)
{
	return side->out_shut && (side->broken || !pump_side_pending(side));
}
