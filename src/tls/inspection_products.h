/*
 * inspection_products: products that inspect TLS, by what they put in the issuer of the certificates they
 * make up.
 */
#ifndef MIDRELAY_TLS_INSPECTION_PRODUCTS_H
#define MIDRELAY_TLS_INSPECTION_PRODUCTS_H

/*
 * The product that the text of an issuer's name, or of a part of it, points to, or NULL; static.  No such
 * table is ever complete: most companies sign with a CA of their own.
 */
const char *inspection_product(const char *issuer);

#endif
