/*
 * inspection_products: see inspection_products.h.
 *
 * The texts are those of the products' default CAs.  They must not be part of the name of a public CA: Cloudflare, for
 * one, has public ones as well.
 */
#include "tls/inspection_products.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *text; /* in any case */
	const char *product;
} products[] = {
    {"zscaler", "Zscaler"},
    {"goskope.com", "Netskope"},
    {"netskope", "Netskope"},
    {"cisco umbrella", "Cisco Umbrella"},
    {"fortinet", "Fortinet"},
    {"pan-fw", "Palo Alto Networks"},
    {"palo alto networks", "Palo Alto Networks"},
    {"forcepoint", "Forcepoint"},
    {"sophos ssl ca", "Sophos"},
    {"sonicwall firewall dpi-ssl", "SonicWall"},
    {"fireware https proxy", "WatchGuard"},
    {"gateway ca - cloudflare managed", "Cloudflare Gateway"},
    {"mitmproxy", "mitmproxy"},
};

const char *inspection_product(const char *issuer)
{
	size_t i;

	for (i = 0; i < sizeof(products) / sizeof(products[0]); i++)
		if (strcasestr(issuer, products[i].text) != NULL)
			return products[i].product;
	return NULL;
}
