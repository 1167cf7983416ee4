package handshake

import "encoding/binary"

// isToken marks the bytes of a token. RFC 9110 5.6.2.
var isToken = makeSet("!#$%&'*+-.^_`|~" + digits + letters)

// isHost marks the bytes of a registered name or IPv4 address, less the
// percent sign. RFC 3986 3.2.2.
var isHost = makeSet("-._~!$&'()*+,;=" + digits + letters)

const (
	digits  = "0123456789"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func makeSet(members string) (set [256]bool) {
	for i := range len(members) {
		set[members[i]] = true
	}
	return set
}

// all reports whether p is not empty and has only members of set.
func all(p []byte, set *[256]bool) bool {
	for _, c := range p {
		if !set[c] {
			return false
		}
	}
	return len(p) > 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// validValue reports whether a field value has no control byte but tabs.
// RFC 9110 5.5.
func validValue(p []byte) bool {
	for len(p) >= 8 && plain8(binary.LittleEndian.Uint64(p)) {
		p = p[8:]
	}
	for _, c := range p {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// plain8 reports whether all 8 bytes of w are 0x20 to 0x7e. The lowest byte
// that is not has no borrow or carry from below, so its high bit tells.
func plain8(w uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	return (w|(w-ones*' ')|(w+ones))&high == 0
}

// trim drops the optional white space around a field value.
func trim(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t') {
		p = p[1:]
	}
	for len(p) > 0 && (p[len(p)-1] == ' ' || p[len(p)-1] == '\t') {
		p = p[:len(p)-1]
	}
	return p
}

// equalFold reports whether p is s but for the case of ASCII letters.
func equalFold[S, T ~string | ~[]byte](p S, s T) bool {
	if len(p) != len(s) {
		return false
	}
	for i := range len(s) {
		if lower(p[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}
