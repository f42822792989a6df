// Package secure is how the two sides know each other: tokens and the rights
// they give, the proof that a token is known, the certificate and its pin, the
// connect string that carries all of it, and the bound on wrong guesses. It reads
// and writes the files that keep token and certificate, and no sockets; what is
// asked of a peer is up to its callers.
//
// A token never crosses the wire: each side proves that it knows it by a MAC over
// the TLS connection's own exporter value (RFC 9266), so a proof is worth nothing on
// another connection, later or through a machine in the middle. Tokens with fewer
// rights are derived from the one that has all (HKDF, RFC 5869); the other way
// there is no way back.
package secure
