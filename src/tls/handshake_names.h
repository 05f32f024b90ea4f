/*
 * handshake_names: what the numbers in TLS messages are called: IANA's names, and OpenSSL's for versions.
 */
#ifndef MIDRELAY_TLS_HANDSHAKE_NAMES_H
#define MIDRELAY_TLS_HANDSHAKE_NAMES_H

#define HANDSHAKE_NAME_BYTES 16

/* Static, or written into buf for what has no name here: "0x7a7a". */
const char *handshake_version_name(unsigned version, char buf[HANDSHAKE_NAME_BYTES]);
const char *handshake_group_name(unsigned group, char buf[HANDSHAKE_NAME_BYTES]);
const char *handshake_signature_name(unsigned scheme, char buf[HANDSHAKE_NAME_BYTES]);
const char *handshake_extension_name(unsigned type, char buf[HANDSHAKE_NAME_BYTES]);
const char *handshake_alert_name(unsigned alert, char buf[HANDSHAKE_NAME_BYTES]);
/* "ClientHello"; "message 99". */
const char *handshake_message_name(unsigned type, char buf[HANDSHAKE_NAME_BYTES]);

#endif
