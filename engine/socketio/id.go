package socketio

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// newID makes a socket's id: 20 characters like Node's, all of them random.
func newID() string {
	var b [15]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// newPID makes a socket's secret for recovery: an id, and behind a dot which
// namespace it is of. What a cluster keeps of a socket does not tell that, as Node
// has it, so whoever was let into one namespace could return to another, past its
// middleware.
func newPID(namespace string) string { return newID() + "." + mark(namespace) }

// mayReturn reports whether a secret may be one of a namespace. Those of Node
// servers do not tell.
func mayReturn(pid, namespace string) bool {
	_, of, marked := strings.Cut(pid, ".")
	return !marked || of == mark(namespace)
}

// mark is a namespace in 16 characters.
func mark(namespace string) string {
	sum := sha256.Sum256([]byte(namespace))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
