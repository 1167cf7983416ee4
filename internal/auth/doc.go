// Package auth turns a token into an identity: who somebody is, which rooms
// they are put into, and what else they may join, subscribe to and publish.
//
// A token is a JWT (RFC 7519) signed by a Source that the operator configured:
// a shared secret, a public key, or a key set behind a fixed URL. Nothing in a
// token chooses the kind of algorithm, a URL, or another source's key.
package auth
