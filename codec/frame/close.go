package frame

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// maxReason is the longest close reason in bytes: a control payload less the
// code.
const maxReason = MaxControlPayload - 2

// ValidCode reports whether a Close frame may carry code: 1000 to 1003 and
// 1007 to 1014 as registered, 3000 to 4999 for libraries and applications.
// RFC 6455 7.4, and the IANA registry for 1012 to 1014.
func ValidCode(code StatusCode) bool {
	switch {
	case code >= 3000:
		return code <= 4999
	case code >= 1007:
		return code <= 1014
	}
	return code >= 1000 && code <= 1003
}

// ParseClose reads the payload of a Close frame. An empty one is code 1005, no
// status received. The reason aliases p. Errors are [ErrCloseLength],
// [ErrCloseCode] and [ErrCloseReason]; the code is returned beside the last
// two.
func ParseClose(p []byte) (code StatusCode, reason []byte, err error) {
	if len(p) == 0 {
		return ws.StatusNoStatusRcvd, nil, nil
	}
	if len(p) == 1 {
		return 0, nil, ErrCloseLength
	}
	code, reason = StatusCode(binary.BigEndian.Uint16(p)), p[2:]
	if !ValidCode(code) {
		return code, nil, ErrCloseCode
	}
	if !utf8.Valid(reason) {
		return code, nil, ErrCloseReason
	}
	return code, reason, nil
}

// AppendClose appends the payload of a Close frame, at most 125 bytes. A code
// that is not a [ValidCode], such as 1005, gives an empty payload. The reason
// is cut to its longest start that is UTF-8 and at most 123 bytes.
func AppendClose(dst []byte, code StatusCode, reason string) []byte {
	if !ValidCode(code) {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason[:reasonLen(reason)]...)
}

// reasonLen is the length of the longest start of s that may be a reason.
func reasonLen(s string) int {
	n := 0
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if r == utf8.RuneError && size == 1 || n+size > maxReason {
			break
		}
		n += size
	}
	return n
}
