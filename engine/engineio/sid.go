package engineio

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

const (
	// sidLen is Node's: the sharded adapter tells ids from rooms by it.
	sidLen    = 20
	prefixLen = PrefixLen
)

// PrefixLen is the length of what Prefix returns.
const PrefixLen = 4

// Prefix is what the session ids of a server begin with: four characters of a
// hash of its id. It tells where a session lives, and no more.
func Prefix(serverID string) string {
	sum := sha256.Sum256([]byte("wsd:" + serverID))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:prefixLen]
}

// newSID makes a session id: whoever knows it has the session, so its last 16
// characters are random.
func (srv *Server) newSID() string {
	var random [(sidLen - prefixLen) * 6 / 8]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(random[:])
	var id [sidLen]byte
	copy(id[:], srv.prefix)
	base64.RawURLEncoding.Encode(id[prefixLen:], random[:])
	return string(id[:])
}
