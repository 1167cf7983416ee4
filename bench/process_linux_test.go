package bench

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 17 18 19 20 3 22 23"
	tests := []struct {
		name, stat string
		ok         bool
	}{
		{"plain", "42 (wsd)" + rest, true},
		{"parentheses and spaces in the name", "42 (a) S (b c)" + rest, true},
		{"cut short", "42 (wsd) S 1 2 3", false},
		{"no number", "42 (wsd) S 1 2 3 4 5 6 7 8 9 10 x 50 13 14 15 16 17 18 19 20 3 22", false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := parseStat([]byte(tt.stat))
			if (err == nil) != tt.ok {
				t.Fatalf("err = %v", err)
			}
			if tt.ok && (u.cpu != 3*time.Second || u.rss != 3*int64(os.Getpagesize())) {
				t.Errorf("got %+v", u)
			}
		})
	}
}

func TestParseRollup(t *testing.T) {
	rss, ok := parseRollup([]byte("55d0-7ffc ---p 0 00:00 0 [rollup]\nRss:    1234 kB\nPss: 5 kB\n"))
	if !ok || rss != 1234<<10 {
		t.Errorf("got %d, %v", rss, ok)
	}
	if _, ok := parseRollup([]byte("Pss: 5 kB\n")); ok {
		t.Error("found what is not there")
	}
}
