package handshake

import "bytes"

// NextItem cuts the first item off a comma-separated list, without the white
// space around it and skipping empty items. Both results alias list; an empty
// item means that the list is done. It knows no quoted strings: for the lists
// of tokens in Connection, Upgrade and Sec-WebSocket-Protocol. RFC 9110 5.6.1.
func NextItem(list []byte) (item, rest []byte) {
	for len(list) > 0 {
		item, list, _ = bytes.Cut(list, comma)
		if item = trim(item); len(item) > 0 {
			return item, list
		}
	}
	return nil, nil
}

var comma = []byte{','}

// hasToken reports whether a list names token, in any case.
func hasToken(list []byte, token string) bool {
	for item, rest := NextItem(list); len(item) > 0; item, rest = NextItem(rest) {
		if equalFold(item, token) {
			return true
		}
	}
	return false
}
