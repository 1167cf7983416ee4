package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes in a flag: 16384, 16KiB, 1MB. "unlimited" is
// negative; whether that is allowed is up to the flag.
type size int

const unlimited size = -1

// units are the suffixes, the longest first where one ends in another.
var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30},
	{"B", 1}, {"", 1},
}

// UnmarshalText reads a size of at least one byte.
func (s *size) UnmarshalText(text []byte) error {
	given := strings.TrimSpace(string(text))
	if strings.EqualFold(given, "unlimited") {
		*s = unlimited
		return nil
	}
	for _, u := range units {
		digits, ok := cutSuffixFold(given, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil {
			break
		}
		n *= u.bytes
		if !(n >= 1 && n <= math.MaxInt32) || n != math.Trunc(n) {
			return fmt.Errorf("size %q: want a whole number of bytes from 1 to 2GiB", given)
		}
		*s = size(n)
		return nil
	}
	return fmt.Errorf("size %q: want a number and a unit, such as 16KiB", given)
}

func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

// String is the shortest exact form, as UnmarshalText reads it.
func (s size) String() string {
	if s < 0 {
		return "unlimited"
	}
	for _, u := range units[:3] {
		if n := float64(s) / u.bytes; n == math.Trunc(n) && n >= 1 && n < 1024 {
			return strconv.Itoa(int(n)) + u.suffix
		}
	}
	return strconv.Itoa(int(s)) + "B"
}
