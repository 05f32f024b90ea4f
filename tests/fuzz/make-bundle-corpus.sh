#!/bin/sh
# Writes the seeds of corpus/bundle/ anew, with keys made on the spot and used nowhere else; what the fuzzer found
# (found-*) stays.  Needs openssl 3, iconv and base64.
set -eu

out=$(dirname "$0")/corpus/bundle
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$out"
find "$out" -type f ! -name 'found-*' -exec rm -f {} +

ca() {
    openssl req -x509 -new -key "$tmp/$1.key" -subj "/CN=$1" -days 36500 -out "$tmp/$1.crt" 2>/dev/null
}
issue() { # name issuer extensions
    openssl req -new -key "$tmp/$1.key" -subj "/CN=$1" -out "$tmp/$1.csr" 2>/dev/null
    printf '%s\n' "$3" >"$tmp/ext"
    openssl x509 -req -in "$tmp/$1.csr" -CA "$tmp/$2.crt" -CAkey "$tmp/$2.key" -days 36500 \
        -extfile "$tmp/ext" -out "$tmp/$1.crt" 2>/dev/null
}

for name in root mid leaf; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$tmp/$name.key" 2>/dev/null
done
ca root
issue mid root 'basicConstraints=critical,CA:TRUE'
issue leaf mid 'extendedKeyUsage=clientAuth'

cat "$tmp/leaf.crt" "$tmp/mid.crt" "$tmp/root.crt" "$tmp/leaf.key" >"$out/full.pem"
cat "$tmp/leaf.key" "$tmp/root.crt" "$tmp/leaf.crt" >"$out/key-first.pem"
sed 's/$/\r/' "$out/full.pem" >"$out/crlf.pem"
tr '\n' '\r' <"$out/key-first.pem" >"$out/cr.pem"
{ printf '\357\273\277Bag Attributes\n    localKeyID: 01\n'; cat "$tmp/leaf.crt"; printf '\032'; cat "$tmp/mid.crt"; } \
    >"$out/bom-bag-1a.pem"
{ printf %s "$(cat "$tmp/leaf.crt")"; cat "$tmp/mid.crt"; } >"$out/joined.pem"
openssl ec -in "$tmp/leaf.key" -out "$out/sec1.pem" 2>/dev/null
openssl ec -in "$tmp/leaf.key" -aes128 -passout pass:fuzz -out "$out/traditional.pem" 2>/dev/null
openssl pkcs8 -topk8 -in "$tmp/leaf.key" -passout pass:fuzz -out "$out/pkcs8-encrypted.pem" 2>/dev/null
openssl genpkey -algorithm ED25519 -out "$out/ed25519.pem" 2>/dev/null
openssl x509 -in "$tmp/leaf.crt" -outform DER -out "$out/cert.der"
openssl pkcs8 -topk8 -nocrypt -in "$tmp/leaf.key" -outform DER -out "$out/pkcs8.der"
openssl ec -in "$tmp/leaf.key" -outform DER -out "$out/sec1.der" 2>/dev/null
# pfx NAME OPTION...: with one iteration, so that fuzzing is quick
pfx() {
    name=$1
    shift
    openssl pkcs12 -export -in "$tmp/leaf.crt" -inkey "$tmp/leaf.key" -passout pass:fuzz -iter 1 -nomaciter \
        -out "$out/$name" "$@"
}
pfx pfx.der -certfile "$tmp/mid.crt"
pfx pfx-legacy.der -legacy
pfx pfx-3des.der -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1
pfx pfx-plain.der -keypbe NONE -certpbe NONE -certfile "$tmp/root.crt"
pfx pfx-nomac.der -nomac
{ echo '-----BEGIN PKCS12-----'; base64 "$out/pfx-plain.der"; echo '-----END PKCS12-----'; } >"$out/pfx.pem"
openssl crl2pkcs7 -nocrl -certfile "$tmp/mid.crt" -certfile "$tmp/root.crt" -outform DER -out "$out/p7b.der"
openssl crl2pkcs7 -nocrl -certfile "$tmp/mid.crt" -out "$out/p7b.pem"
mkdir "$tmp/ca"
: >"$tmp/ca/index"
echo 01 >"$tmp/ca/number"
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\n' "$tmp/ca/index" "$tmp/ca/number" >"$tmp/ca/cnf"
for name in root mid; do
    openssl ca -config "$tmp/ca/cnf" -revoke "$tmp/leaf.crt" -cert "$tmp/$name.crt" -keyfile "$tmp/$name.key" \
        -crl_reason superseded 2>/dev/null || true
    openssl ca -config "$tmp/ca/cnf" -gencrl -crldays 36500 -cert "$tmp/$name.crt" -keyfile "$tmp/$name.key" \
        -out "$tmp/$name.crl" 2>/dev/null
done
{ cat "$tmp/root.crl"; printf 'of mid\r\n'; cat "$tmp/mid.crl"; } >"$out/crl.pem"
openssl crl -in "$tmp/mid.crl" -outform DER -out "$out/crl.der"
{ printf '\377\376'; iconv -f ASCII -t UTF-16LE "$out/key-first.pem"; } >"$out/utf16-le.pem"
iconv -f ASCII -t UTF-16BE "$out/key-first.pem" >"$out/utf16-be-no-mark.pem"
openssl x509 -in "$tmp/leaf.crt" -addtrust clientAuth -trustout -out "$out/trusted.pem"
cp "$tmp/leaf.csr" "$out/request.pem"
openssl pkey -in "$tmp/leaf.key" -pubout -out "$out/public.pem"
head -n 5 "$tmp/leaf.crt" >"$out/cut.pem"

# What is noted, or refused, of certificates that can be read.
own() { # name key-options extensions x509-options
    # shellcheck disable=SC2086
    openssl genpkey $2 -out "$tmp/$1.key" 2>/dev/null
    openssl req -new -key "$tmp/$1.key" -subj "/CN=$1" -out "$tmp/$1.csr" 2>/dev/null
    printf '%s\n' "$3" >"$tmp/ext"
    # shellcheck disable=SC2086
    openssl x509 -req -in "$tmp/$1.csr" -CA "$tmp/mid.crt" -CAkey "$tmp/mid.key" -extfile "$tmp/ext" $4 \
        -out "$tmp/$1.crt" 2>/dev/null
    cat "$tmp/$1.crt" "$tmp/$1.key" "$tmp/mid.crt" >"$out/$1.pem"
}
own weak-rsa '-algorithm RSA -pkeyopt rsa_keygen_bits:1024' 'extendedKeyUsage=clientAuth' '-sha1 -days 36500'
own rsa-pss '-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:1024' 'keyUsage=keyEncipherment' '-days 36500'
own unusual-curve '-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1' 'extendedKeyUsage=serverAuth' '-days 36500'
own weak-curve '-algorithm EC -pkeyopt ec_paramgen_curve:secp192k1' 'basicConstraints=CA:TRUE' '-days 36500'
own expired '-algorithm EC -pkeyopt ec_paramgen_curve:P-256' 'subjectAltName=DNS:a.test,IP:::1' '-days 0'
openssl rsa -in "$tmp/weak-rsa.key" -traditional -out "$out/pkcs1.pem" 2>/dev/null
cat "$tmp/leaf.key" "$tmp/mid.key" >"$out/two-keys.pem"
openssl ecparam -name prime256v1 -genkey -out "$out/parameters.pem" 2>/dev/null
openssl pkcs8 -topk8 -scrypt -scrypt_N 2 -scrypt_r 1 -scrypt_p 1 -in "$tmp/leaf.key" -passout pass:fuzz \
    -out "$out/scrypt.pem" 2>/dev/null
# Renewed and cross-signed: several ways up, and several leaves of one key.
cp "$tmp/leaf.crt" "$tmp/old-leaf.crt"
cp "$tmp/mid.crt" "$tmp/old-mid.crt"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$tmp/other.key" 2>/dev/null
ca other
issue mid other 'basicConstraints=critical,CA:TRUE'
issue leaf mid 'extendedKeyUsage=clientAuth'
cat "$tmp/leaf.key" "$tmp/old-leaf.crt" "$tmp/leaf.crt" "$tmp/mid.crt" "$tmp/old-mid.crt" "$tmp/root.crt" "$tmp/other.crt" \
    >"$out/several-ways.pem"
cp "$tmp/old-leaf.crt" "$tmp/leaf.crt"
cp "$tmp/old-mid.crt" "$tmp/mid.crt"
printf -- '-----BEGIN PRIVATE KEY-----\na: -----bbbbbbbbbbbbbbbb\n-----END PRIVATE KEY-----\n' >"$out/header-dashes.pem"
printf -- '-----BEGIN X-----\n-----END Y-----\n' >"$out/mismatched-end.pem"
printf '\377\376-\0-\0' >"$out/utf16.txt"
printf '0\200\0\0' >"$out/indefinite.der"
chmod 644 "$out"/*
