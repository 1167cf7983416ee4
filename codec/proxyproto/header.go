package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

const (
	// HeadSize is what all headers have, in bytes: signature, version and command,
	// family and transport, length of the rest.
	HeadSize = 16
	// MaxRest bounds the rest, in bytes: addresses take up to 216, what a proxy adds
	// to them (TLVs) a few hundred.
	MaxRest = 4 << 10
	// MaxLen bounds a header, in bytes.
	MaxLen = HeadSize + MaxRest

	signature = "\r\n\r\n\x00\r\nQUIT\n"
	version1  = "PROXY "

	version2     = 2 << 4
	commandLocal = 0
	commandProxy = 1
	maxFamily    = 3 // UNSPEC, INET, INET6, UNIX
	maxTransport = 2 // UNSPEC, STREAM, DGRAM
	tcp4         = 0x11
	tcp6         = 0x21
	tlvHead      = 3 // type, and length of the value
)

// Signed reports whether b begins with a header's signature, or with a part of it
// that may become one: then whole is false, as for an empty b.
func Signed(b []byte) (begins, whole bool) {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n], n == len(signature)
}

// Parse reads the header at the start of b. n is its length; 0 without an error means
// that more bytes are needed, at most MaxLen in all. source is the client's address;
// the zero value says that the connection's own is meant: it is the proxy's (LOCAL, as
// of health checks), or one that is none of TCP's. TLVs are skipped. An error comes as
// soon as it can be told.
func Parse(b []byte) (source netip.AddrPort, n int, err error) {
	if begins, whole := Signed(b); !begins {
		return netip.AddrPort{}, 0, unsigned(b)
	} else if !whole {
		return netip.AddrPort{}, 0, nil
	}
	if len(b) > 12 {
		if b[12]&0xF0 != version2 {
			return netip.AddrPort{}, 0, ErrVersion
		}
		if b[12]&0x0F > commandProxy {
			return netip.AddrPort{}, 0, ErrCommand
		}
	}
	local := len(b) > 12 && b[12]&0x0F == commandLocal
	if len(b) > 13 && !local && (b[13]>>4 > maxFamily || b[13]&0x0F > maxTransport) {
		return netip.AddrPort{}, 0, ErrFamily
	}
	if len(b) < HeadSize {
		return netip.AddrPort{}, 0, nil
	}
	n = Len(b)
	addresses := 0
	if !local {
		addresses = addressesSize(b[13])
	}
	switch {
	case n > MaxLen:
		return netip.AddrPort{}, 0, ErrTooLong
	case n < HeadSize+addresses:
		return netip.AddrPort{}, 0, ErrShort
	case len(b) < n:
		return netip.AddrPort{}, 0, nil
	case addresses == 0:
		return netip.AddrPort{}, n, nil
	}
	rest := b[HeadSize:n]
	if !wholeTLVs(rest[addresses:]) {
		return netip.AddrPort{}, 0, ErrTLV
	}
	return sourceOf(rest[:addresses]), n, nil
}

// Len is the length of the header at the start of b, which has HeadSize bytes of it at
// least, and no error.
func Len(b []byte) int { return HeadSize + int(binary.BigEndian.Uint16(b[14:])) }

// unsigned is what is wrong with bytes that do not begin with the signature; nil where
// that can't be told yet.
func unsigned(b []byte) error {
	n := min(len(b), len(version1))
	switch {
	case string(b[:n]) != version1[:n]:
		return ErrMissing
	case n == len(version1):
		return ErrVersion1
	}
	return nil
}

// addressesSize is how many bytes the two addresses and their ports have; 0 where they
// are none that a TCP connection has.
func addressesSize(family byte) int {
	switch family {
	case tcp4:
		return 2 * (4 + 2)
	case tcp6:
		return 2 * (16 + 2)
	}
	return 0
}

// sourceOf reads the first of two addresses, and the first of two ports behind them.
func sourceOf(b []byte) netip.AddrPort {
	size := len(b)/2 - 2
	addr, _ := netip.AddrFromSlice(b[:size])
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b[2*size:]))
}

// wholeTLVs reports whether b is a row of TLVs.
func wholeTLVs(b []byte) bool {
	for len(b) > 0 {
		if len(b) < tlvHead {
			return false
		}
		size := tlvHead + int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < size {
			return false
		}
		b = b[size:]
	}
	return true
}

// Append appends the header that Parse reads source of. It leaves the destination at
// zeros.
func Append(dst []byte, source netip.AddrPort) []byte {
	dst = append(dst, signature...)
	addr := source.Addr()
	if !addr.IsValid() {
		return append(dst, version2|commandLocal, 0, 0, 0)
	}
	family := byte(tcp6)
	if addr.Is4() {
		family = tcp4
	}
	size := addressesSize(family)
	dst = append(dst, version2|commandProxy, family, 0, byte(size))
	dst = append(dst, addr.AsSlice()...)
	dst = append(dst, make([]byte, size/2-2)...)
	dst = binary.BigEndian.AppendUint16(dst, source.Port())
	return append(dst, 0, 0)
}
