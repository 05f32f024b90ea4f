/*
 * config: the configuration as an immutable value: plain structs, no behaviour.
 *
 * config_load() makes one from text; nothing changes it afterwards; config_free() ends it.  Every string is
 * owned by the config.  Durations are milliseconds, sizes bytes.  A file that an option names is not opened
 * here (config and tls do not know each other), but each option remembers the line it stood on, so that
 * whoever opens the file can report the fault there: config_line().
 */
#ifndef MIDRELAY_CONFIG_CONFIG_H
#define MIDRELAY_CONFIG_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/error.h"
#include "base/log.h"

/* An ordered list of strings; items[count] is NULL. */
struct config_list {
	char **items;
	size_t count;
};

/* Lines, by option; config_table.h says which index an option has.  0: the default is in force. */
#define CONFIG_MAX_OPTIONS 96
struct config_lines {
	unsigned section;                     /* the line of "[relay NAME]" */
	unsigned option[CONFIG_MAX_OPTIONS]; /* of the first value given */
};

enum config_explain { CONFIG_EXPLAIN_AUTO, CONFIG_EXPLAIN_OFF };
enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };
enum config_mode { CONFIG_MODE_TCP, CONFIG_MODE_HTTP };
enum config_http_reuse { CONFIG_HTTP_REUSE_SAFE, CONFIG_HTTP_REUSE_OFF };
enum config_pipeline { CONFIG_PIPELINE_OFF, CONFIG_PIPELINE_ON, CONFIG_PIPELINE_AUTO };
enum config_inspection { CONFIG_INSPECTION_REFUSE, CONFIG_INSPECTION_WARN, CONFIG_INSPECTION_IGNORE };
enum config_sandbox { CONFIG_SANDBOX_OFF, CONFIG_SANDBOX_ON };
#define CONFIG_READY_OFF 0
#define CONFIG_READY_AUTO UINT_MAX /* as recent demand asks for */
/* Bits. */
enum config_revocation { CONFIG_REVOCATION_STAPLE = 1, CONFIG_REVOCATION_CRL = 2 };

/* Where the status endpoint listens. */
struct config_status {
	struct addr addr; /* loopback or UNIX; len 0: nowhere */
	bool none;        /* that was said, and is no default */
};

#define CONFIG_MAX_WORKERS 256

struct config_process {
	unsigned workers; /* `auto` is resolved at load: one per CPU this process may use */
	enum log_level log_level;
	enum log_format log_format;
	char *user;  /* NULL: stay who we are */
	char *group; /* NULL: the user's own */
	unsigned max_connections;
	int64_t drain_timeout_ms;
	int64_t watch_ms;          /* 0: files are looked at on SIGHUP only */
	int64_t expiry_warning_ms; /* 0: only what is over is told */
	struct config_status status;
	enum config_sandbox sandbox;
	struct config_lines lines;
};

/* One `listen` address. */
struct config_listen {
	struct addr addr; /* len 0: see `systemd` */
	unsigned line;
	char *systemd;    /* the name of sockets that the service manager passes; NULL: the address is ours to bind */
	bool tls; /* tls://: the client makes TLS with us */
};

/* http://HOST:PORT or https://HOST:PORT. */
struct config_proxy_url {
	struct hostport at;
	bool tls;
};

/* A header line for the CONNECT, split. */
struct config_header {
	char *name;
	char *value;
};

/*
 * One way to the target.  A proxy listed by URL takes the relay's proxy_… keys; one listed by NAME takes its
 * own [proxy NAME] section and never the relay's.
 */
struct config_path {
	bool direct;
	bool tls;                 /* the proxy's URL is https:// */
	/* "direct", the URL without credentials ("http://h:p"), or the section's NAME */
	char *name;
	struct hostport proxy;    /* not for direct */
	char *user;               /* NULL: no credentials */
	char *password_ref;       /* a secret reference; NULL with user NULL */
	struct config_header *headers;
	size_t header_count;
	char *trust;              /* for TLS with the proxy; NULL: the system's store */
	char *client_bundle;      /* for TLS with the proxy; NULL: no certificate is shown to it */
	unsigned line;            /* where the path is listed */
	unsigned password_line;   /* where its password stands */
	unsigned trust_line, client_bundle_line; /* 0: not given */
	enum config_pipeline pipeline;
};

struct config_relay {
	char *name;
	struct config_listen *listens;
	size_t listen_count;
	mode_t listen_mode; /* for UNIX sockets */
	bool allow_nonlocal;
	struct addr_cidr *allow_address; /* none: loopback only */
	size_t allow_address_count;
	struct config_list allow_user;   /* as written; none: any account */
	uid_t *allow_uids;               /* of each of them */
	enum config_mode mode;
	struct hostport target;
	char *target_address; /* numeric address without port, NULL: resolve */
	struct config_path *paths;
	size_t path_count; /* at least 1 */
	char *source_address; /* numeric, NULL: the kernel chooses */

	char *client_bundle; /* or the split form; all NULL: no client certificate */
	char *client_cert;
	char *client_key;
	char *client_chain;
	char *client_passphrase_ref;
	char *trust; /* NULL: the system's store; else a file or a directory */
	enum config_inspection inspection;
	struct config_list expect_issuer; /* none: any */
	struct config_list pin;           /* "sha256//BASE64"; none: any */
	unsigned revocation;              /* enum config_revocation, 0: off */
	char *crl_file;                   /* with CONFIG_REVOCATION_CRL */
	bool require_client_cert_request; /* default: a client certificate is set */
	enum config_tls_version tls_min, tls_max;
	char *tls_ciphers;
	char *tls_ciphersuites; /* NULL: OpenSSL's */
	char *tls_groups;       /* NULL: OpenSSL's */

	int64_t connect_timeout_ms, proxy_timeout_ms, tls_timeout_ms, setup_timeout_ms;
	int64_t idle_timeout_ms, half_close_timeout_ms, keepalive_ms;
	enum config_explain explain;
	struct config_list connect_allow; /* with CONFIG_MODE_HTTP: "host:port", or "none" alone */
	unsigned ready_tunnels; /* in all loops together, or one of the two below */
	int64_t ready_max_age_ms;
	struct config_lines lines;

	char *listen_cert;      /* a file, or CONFIG_LISTEN_CERT_AUTO; NULL: no local TLS */
	char *listen_key;       /* NULL: listen_cert holds it */
	char *listen_client_ca; /* file or directory; NULL: clients of tls:// show no certificate */
	enum config_http_reuse http_reuse; /* with CONFIG_MODE_HTTP */
};

#define CONFIG_LISTEN_CERT_AUTO "auto"

struct config {
	char *file; /* as given, for messages */
	struct config_process process;
	struct config_relay *relays;
	size_t relay_count; /* at least 1 */
	/* only good for looking at the files that it names; relay_set_new() takes no other use of it */
	bool faulty;
};

/* One fault or note, with the place it was found at. */
struct config_fault {
	unsigned line; /* 0: the file as a whole */
	char *text;
};

/* All that is wrong, in file order; notes are warnings that stop nothing. */
struct config_report {
	char *file;
	struct config_fault *faults;
	size_t fault_count;
	struct config_fault *notes;
	size_t note_count;
};

void config_report_init(struct config_report *report, const char *file);
void config_report_clear(struct config_report *report);
void config_report_fault(struct config_report *report, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);
void config_report_note(struct config_report *report, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts faults and notes into the order of their lines; config_load() has done it for its own. */
void config_report_sort(struct config_report *report);

/*
 * Reads and validates FILE.  Every fault found is in *report (initialised by the caller).  With faults the
 * result is NULL, or `faulty`: what could be read, so that relay_set_new() can add the faults in the files
 * that it names.  Bounded: a file above 1 MiB, a line above 64 kB, more than 1,000 relays are faults.
 */
struct config *config_load(const char *file, struct config_report *report);
/* The same of text that is in no file; `name` stands for it. */
struct config *config_load_bytes(const char *name, const char *bytes, size_t len,
    struct config_report *report);
void config_free(struct config *config);

/*
 * How the path is called that an item of `proxy` makes ("http://h:p", NAME, "direct"); NULL: it is no URL.
 * The caller's.
 */
char *config_path_name(const char *item, struct error *err);

/* listen_cert = auto */
bool config_relay_makes_cert(const struct config_relay *relay);
/* The line where `key` of this section was given, or that of the section itself when it was not. */
unsigned config_relay_line(const struct config_relay *relay, const char *key);
unsigned config_process_line(const struct config_process *process, const char *key);

#endif
