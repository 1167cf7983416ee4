package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	typeCRC32C = 0x03
	typeSSL    = 0x20
	tlvHead    = 3 // type, and length of the value

	sslHead   = 5 // client, verify; TLVs follow
	clientSSL = 1 // the client came by TLS
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseTLVs reads those of a header of version 2, which begin at an offset. Of one that is
// there twice the last counts, and every checksum.
func parseTLVs(header []byte, at int) (tls bool, err error) {
	if !wholeTLVs(header[at:]) {
		return false, ErrTLV
	}
	for at < len(header) {
		value := valueAt(header[at:])
		switch header[at] {
		case typeCRC32C:
			// The sum is of all, with zeros in its own place.
			if from := at + tlvHead; len(value) != 4 || binary.BigEndian.Uint32(value) != sum(header, from) {
				return false, ErrChecksum
			}
		case typeSSL:
			if len(value) < sslHead || !wholeTLVs(value[sslHead:]) {
				return false, ErrTLV
			}
			tls = value[0]&clientSSL != 0
		}
		at += tlvHead + len(value)
	}
	return tls, nil
}

// sum is the header's checksum, whose own four bytes begin at an offset.
func sum(header []byte, at int) uint32 {
	crc := crc32.Update(0, castagnoli, header[:at])
	crc = crc32.Update(crc, castagnoli, make([]byte, 4))
	return crc32.Update(crc, castagnoli, header[at+4:])
}

// valueAt is the value of the TLV that b begins with, which is whole.
func valueAt(b []byte) []byte {
	return b[tlvHead:][:binary.BigEndian.Uint16(b[1:])]
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
