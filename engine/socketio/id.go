package socketio

import (
	"crypto/rand"
	"encoding/base64"
)

// newID makes a socket's id or its secret for recovery: 20 characters like
// Node's, all of them random.
func newID() string {
	var b [15]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
