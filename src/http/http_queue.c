/*
 * http_queue: the requests that were passed on and have no whole response yet, and how the client called us in each.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_internal.h"

#define FIRST_SIZE 2

static void base_release(struct http_base *base)
{
	if (base != NULL && --base->users == 0)
		free(base);
}

/* The base of this request; that of the request before it, where it is the same. */
static struct http_base *base_find(struct http_queue *queue, const struct http_request *request)
{
	const char *scheme = request->absolute && request->url.default_port == 443 ? "https://" : "http://";
	size_t scheme_len = request->host_text.len > 0 ? strlen(scheme) : 0;
	size_t len = scheme_len + request->host_text.len;
	struct http_base *base = queue->base;

	if (base != NULL && base->len == len && memcmp(base->text, scheme, scheme_len) == 0 &&
	    (len == 0 || memcmp(base->text + scheme_len, request->host_text.at, request->host_text.len) == 0))
		return base;
	base_release(base);
	base = mem_calloc(1, sizeof(*base) + len);
	base->users = 1;
	base->scheme_len = scheme_len;
	base->len = len;
	memcpy(base->text, scheme, scheme_len);
	if (len > 0)
		memcpy(base->text + scheme_len, request->host_text.at, request->host_text.len);
	queue->base = base;
	return base;
}

static void grow(struct http_queue *queue)
{
	unsigned size = queue->size > 0 ? queue->size * 2u : FIRST_SIZE, i;
	struct http_asked *items = mem_calloc(size, sizeof(*items));

	for (i = 0; i < queue->count; i++)
		items[i] = queue->items[(queue->first + i) % queue->size];
	free(queue->items);
	queue->items = items;
	queue->size = (uint8_t)size;
	queue->first = 0;
}

const struct http_asked *http_queue_first(const struct http_queue *queue)
{
	return queue->count > 0 ? &queue->items[queue->first] : NULL;
}

void http_queue_add(struct http_queue *queue, const struct http_request *request)
{
	struct http_asked *asked;

	if (queue->count == queue->size)
		grow(queue);
	asked = &queue->items[(queue->first + queue->count++) % queue->size];
	asked->base = base_find(queue, request);
	asked->base->users++;
	asked->head = request->method.len == 4 && memcmp(request->method.at, "HEAD", 4) == 0;
	asked->upgrade = request->upgrade;
	asked->old_version = request->old_version;
}

void http_queue_remove(struct http_queue *queue)
{
	base_release(queue->items[queue->first].base);
	queue->first = (uint8_t)((queue->first + 1) % queue->size);
	queue->count--;
}

void http_queue_clear(struct http_queue *queue)
{
	while (queue->count > 0)
		http_queue_remove(queue);
	base_release(queue->base);
	free(queue->items);
	*queue = (struct http_queue){0};
}
