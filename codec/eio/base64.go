package eio

import "encoding/base64"

// encoding is how binary data is written. Reading is more liberal.
var encoding = base64.StdEncoding

// skipped marks the bytes in sextets that carry no data.
const skipped = 0xff

// sextets maps a character of either base64 alphabet to its six bits.
var sextets = func() (t [256]byte) {
	for i := range t {
		t[i] = skipped
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range alphabet {
		t[alphabet[i]] = byte(i)
	}
	t['-'], t['_'] = t['+'], t['/']
	return t
}()

// decodeBase64 decodes b in place as Node's Buffer.from(b, "base64") does, and
// returns the part of b that holds the result.
func decodeBase64(b []byte) []byte {
	out := 0
	for i := 0; i < len(b); {
		// Whole groups: a write never passes the bytes that were read.
		for i+4 <= len(b) {
			s0, s1, s2, s3 := sextets[b[i]], sextets[b[i+1]], sextets[b[i+2]], sextets[b[i+3]]
			if s0|s1|s2|s3 == skipped {
				break
			}
			b[out], b[out+1], b[out+2] = s0<<2|s1>>4, s1<<4|s2>>2, s2<<6|s3
			i, out = i+4, out+3
		}
		// One group around characters that carry nothing, or the last one.
		var group [4]byte
		n := 0
		for ; i < len(b) && n < 4; i++ {
			if s := sextets[b[i]]; s != skipped {
				group[n] = s
				n++
			}
		}
		if n >= 2 {
			b[out] = group[0]<<2 | group[1]>>4
			out++
		}
		if n >= 3 {
			b[out] = group[1]<<4 | group[2]>>2
			out++
		}
		if n == 4 {
			b[out] = group[2]<<6 | group[3]
			out++
		}
	}
	return b[:out]
}
