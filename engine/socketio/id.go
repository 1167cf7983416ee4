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

// newMarkedID makes an id that tells, behind a dot, which namespace it is of: a
// socket's secret where the log of a cluster keeps sessions. What is kept of them
// there does not tell it, as Node has it, so whoever was let into one namespace
// could return to another, past its middleware.
func newMarkedID(namespace string) string { return newID() + "." + mark(namespace) }

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
