/*
 * anchor_origin: see anchor_origin.h.
 *
 * Certificates are known by their SHA-256; which of them the store really has is not asked.
 */
#include "tls/anchor_origin.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Debian policy 2.2: the files that the package installed, one a line. */
#define DEBIAN_LIST "/var/lib/dpkg/info/ca-certificates.list"
#define DEBIAN_PLACE "/usr/share/ca-certificates/"
#define MAX_CERTS 5000

/* update-ca-trust(8) on Fedora and Arch; update-ca-certificates(8) on Alpine. */
static const char *const local_dirs[] = {"/etc/pki/ca-trust/source/anchors",
    "/etc/ca-certificates/trust-source/anchors", "/usr/local/share/ca-certificates"};

struct anchor_origin {
	bool holds_distribution; /* or the local ones */
	size_t count;
	unsigned char (*hashes)[SHA256_DIGEST_LENGTH];
};

static void add_der(struct anchor_origin *origin, const unsigned char *der, long len)
{
	if (origin->count == MAX_CERTS)
		return;
	origin->hashes = mem_realloc(origin->hashes, (origin->count + 1) * sizeof(*origin->hashes));
	if (EVP_Digest(der, (size_t)len, origin->hashes[origin->count], NULL, EVP_sha256(), NULL) == 1)
		origin->count++;
}

/* What cannot be read adds nothing. */
static void add_file(struct anchor_origin *origin, const char *path)
{
	BIO *bio = BIO_new_file(path, "rb");
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	size_t before = origin->count;
	X509 *cert;
	long len;

	while (bio != NULL && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
		if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
			add_der(origin, data, len);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	/* Fedora takes DER as well. */
	if (bio != NULL && origin->count == before && BIO_reset(bio) == 0 && (cert = d2i_X509_bio(bio, NULL)) != NULL) {
		len = i2d_X509(cert, &data);
		if (len > 0) {
			add_der(origin, data, len);
			OPENSSL_free(data);
		}
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
}

static void add_debian(struct anchor_origin *origin, const char *root)
{
	char *path = mem_printf("%s%s", root, DEBIAN_LIST), *line = NULL;
	FILE *list = fopen(path, "re");
	size_t line_bytes = 0;
	ssize_t len;

	free(path);
	while (list != NULL && (len = getline(&line, &line_bytes, list)) > 0) {
		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (strncmp(line, DEBIAN_PLACE, strlen(DEBIAN_PLACE)) != 0 || len < 4 ||
		    strcmp(line + len - 4, ".crt") != 0)
			continue;
		path = mem_printf("%s%s", root, line);
		add_file(origin, path);
		free(path);
	}
	free(line);
	if (list != NULL)
		fclose(list);
}

static void add_local(struct anchor_origin *origin, const char *root)
{
	size_t i;

	for (i = 0; i < sizeof(local_dirs) / sizeof(local_dirs[0]); i++) {
		char *dir = mem_printf("%s%s", root, local_dirs[i]);
		DIR *handle = opendir(dir);
		struct dirent *entry;

		while (handle != NULL && (entry = readdir(handle)) != NULL) {
			char *path = mem_printf("%s/%s", dir, entry->d_name);

			if (entry->d_name[0] != '.')
				add_file(origin, path);
			free(path);
		}
		if (handle != NULL)
			closedir(handle);
		free(dir);
	}
}

struct anchor_origin *anchor_origin_new(const char *root)
{
	struct anchor_origin *origin = mem_calloc(1, sizeof(*origin));

	add_debian(origin, root);
	origin->holds_distribution = origin->count > 0;
	if (!origin->holds_distribution)
		add_local(origin, root);
	if (origin->count > 0)
		return origin;
	anchor_origin_free(origin);
	return NULL;
}

void anchor_origin_free(struct anchor_origin *origin)
{
	if (origin == NULL)
		return;
	free(origin->hashes);
	free(origin);
}

enum judge_origin anchor_origin_of(const struct anchor_origin *origin, const X509 *anchor)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	bool found = false;
	size_t i;

	if (origin == NULL || X509_digest(anchor, EVP_sha256(), hash, NULL) != 1)
		return JUDGE_ORIGIN_UNKNOWN;
	for (i = 0; i < origin->count && !found; i++)
		found = memcmp(origin->hashes[i], hash, SHA256_DIGEST_LENGTH) == 0;
	if (origin->holds_distribution)
		return found ? JUDGE_ORIGIN_DISTRIBUTION : JUDGE_ORIGIN_LOCAL;
	return found ? JUDGE_ORIGIN_LOCAL : JUDGE_ORIGIN_UNKNOWN;
}
